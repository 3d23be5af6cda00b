import { product } from '../product.mjs';

const { readJson, writeJson } = await product('management/json/index.js');
const { render } = await product('programs/pgmoneta-cli/present.js');

export const seeds = [
  '{"Header":{"ClientVersion":"0.21.0","Command":2,"Compression":0,"Encryption":0,"Output":0,"Timestamp":"20260101120000"},"Outcome":{"Status":true,"Time":"00:00:0.0012"},"Request":{"Server":"primary","Sort":"asc"},"Response":{"Backups":[{"Backup":"20260101110000","BackupSize":6857687,"Compression":18,"Valid":1,"WAL":0}],"NumberOfBackups":1}}',
  '{"Header":{"Command":8},"Outcome":{"Status":true},"Response":{"FreeSpace":1,"Servers":[{"Backups":{},"RetentionDays":-1,"ServerSize":5}]}}',
  '{"Header":{"Command":22},"Outcome":{"Status":true},"Response":{"compression":{"string_value":"zstd","value":2},"server":{"p":{"port":5432}}}}',
  '{"a":1.500000,"b":"it\\\'s\\u00e9\\n","c":[1,[2,{}]],"d":+9223372036854775807,"e":-1,"f":null}tail',
];
export const tokens = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\"',
  "\\'",
  '\\u',
  '\\u0000',
  '\\ud800',
  'null',
  'true',
  '1e9',
  '1.0',
  '-0',
  '"__proto__":',
  '"Response":',
  '"Backups":',
  '[[[[',
  '{"a":',
];

/** @param {Buffer} input */
export function run(input) {
  const document = readJson(input.toString('utf8'));
  const text = writeJson(document);
  if (writeJson(readJson(text)) !== text) throw new Error(`what was written reads differently: ${text}`);
  for (const format of ['text', 'raw']) render(document, format);
  JSON.parse(render(document, 'json'));
}
