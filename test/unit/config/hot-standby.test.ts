import { describe, expect, it } from 'vitest';
import { effectiveServer, hotStandbysOf } from '../../../src/config/index.js';
import { refusal } from '../temporary.js';
import { loadText, MINIMAL } from './files.js';

const load = (lines: string) => loadText(`${MINIMAL}${lines}\n`);
const standbys = (lines: string) => hotStandbysOf(effectiveServer(load(lines), 'primary'));
const refused = (lines: string, text: RegExp) => refusal(() => load(lines), 'CONFIGURATION_INVALID', text);

describe('hot standbys', () => {
  it('belong to their overrides and mappings by their place in the list', () => {
    expect(
      standbys(
        'hot_standby = /a b/, /c-d\nhot_standby_overrides = |/o\nhot_standby_tablespaces = 16384->/t-1/, /srv/fast-one -> /t -> 2|/srv/x/->/y',
      ),
    ).toEqual([
      {
        directory: '/a b',
        overrides: undefined,
        mappings: [
          { from: '16384', to: '/t-1' },
          { from: '/srv/fast-one', to: '/t -> 2' },
        ],
      },
      { directory: '/c-d', overrides: '/o', mappings: [{ from: '/srv/x', to: '/y' }] },
    ]);
    expect(standbys('')).toEqual([]);
  });

  it('are eight at most: more are warned of and left out', () => {
    const nine = Array.from({ length: 9 }, (_, n) => `/d${n}`).join(',');
    const { warnings } = load(`hot_standby = ${nine}`);
    expect(warnings.filter((text) => /hot_standby.*only the first 8/.test(text))).toHaveLength(1);
    expect(standbys(`hot_standby = ${nine}`)).toHaveLength(8);
  });

  it.each([
    ['hot_standby = standby', /hot_standby: the directory 'standby' is not absolute/],
    ['hot_standby = /a,/b,/a/', /hot_standby: the directory \/a is named twice/],
    ['hot_standby = /a,/a/primary', /the copy \/a\/primary\/primary is in another copy \(\/a\/primary\)/],
    ['hot_standby = /var/lib/pgmoneta', /the copy \/var\/lib\/pgmoneta\/primary is in base_dir/],
    ['hot_standby = /var/lib/pgmoneta/standby', /is in base_dir/],
    ['wal_shipping = /ship\nhot_standby = /ship', /the copy \/ship\/primary is wal_shipping of \[primary\]/],
    ['hot_standby = /a\nhot_standby_overrides = over', /hot_standby_overrides: the directory 'over' is not absolute/],
    ['hot_standby = /a\nhot_standby_overrides = /a/primary/x', /hot_standby_overrides: .* is in a copy/],
    [
      'hot_standby = /a\nhot_standby_tablespaces = 1->2->3',
      /hot_standby_tablespaces: the directory '2->3' .* not absolute/,
    ],
    ['hot_standby = /a\nhot_standby_tablespaces = fast->/x', /'fast' is neither the OID/],
    ['hot_standby = /a\nhot_standby_tablespaces = 16384', /'16384' is not FROM -> TO/],
    ['hot_standby = /a\nhot_standby_tablespaces = 16384->', /'16384->' is not FROM -> TO/],
    ['hot_standby = /a\nhot_standby_tablespaces = 1->/x,1->/y', /'1' stands on the same side/],
    ['hot_standby = /a\nhot_standby_tablespaces = 1->/x,2->/x/', /'\/x' stands on the same side/],
    ['hot_standby = /a,/b\nhot_standby_tablespaces = 1->/x|1->/x', /two copies would have a tablespace in \/x/],
    ['hot_standby = /a\nhot_standby_tablespaces = 1->/a/primary/ts', /the tablespace directory .* is in a copy/],
    ['hot_standby = /a\nhot_standby_tablespaces = 1->/var/lib/pgmoneta', /is base_dir/],
  ])('%j is refused', async (lines, text) => {
    await refused(lines, text);
  });

  it('of two servers do not get in the way of each other', async () => {
    const other = '[other]\nhost = h\nport = 5433\nuser = repl\nwal_slot = x\n';
    expect(load(`hot_standby = /a\n${other}hot_standby = /a`).servers).toHaveLength(2);
    await refused(`hot_standby = /a\n${other}hot_standby = /a/primary`, /is in a copy of \[primary\]/);
  });
});
