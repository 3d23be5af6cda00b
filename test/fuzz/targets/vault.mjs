import { product } from '../product.mjs';

const { decodeText } = await product('config/files/read.js');
const { parseMasterKey } = await product('security/master-key.js');
const { openEntry, readVaultText } = await product('security/vault.js');
const { userNames, withUserAdded, withUserReplaced } = await product('security/vault-edit.js');

export const seeds = [
  '# c\nrepl:EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK1qMSwWiMIdEGbR2kKUABQ+vjGVnGlQ=\n\nother:AAAA ; c\n',
  'c2VjcmV0cGFzc3dvcmQ=\nAAECAwQFBgcICQoLDA0ODw==\n',
];
export const tokens = [
  ':',
  '::',
  '#',
  ';',
  '\n',
  '\r',
  '=',
  '==',
  'repl',
  'repl:',
  'AAAA',
  '\ufeff',
  ' ',
  '\t',
  '\u2028',
  '\0',
];

const secret = Buffer.from(
  '804c4fb0e49ffe15a375a8462a08f4b5b05bb9803dc0f98fd5611d79b8959611b1fd0f12ba621ecbe6ca73bb63e280718fc77d83adba9c559769ebbdba923b28',
  'hex',
);

/** @param {Buffer} input */
export function run(input) {
  const text = decodeText(input, 'users.conf');
  parseMasterKey(text);
  const names = userNames(text);
  const added = withUserAdded(text, 'new:AAAA');
  if (!userNames(added).includes('new')) throw new Error('the added user is not there');
  for (const name of names) {
    if (!userNames(withUserReplaced(text, name, `${name}:AAAA`)).includes(name)) throw new Error(`${name} is lost`);
    if (userNames(withUserReplaced(text, name, null)).includes(name)) throw new Error(`${name} is not removed`);
  }
  for (const entry of readVaultText('users.conf', text)) openEntry('users.conf', entry, secret);
}
