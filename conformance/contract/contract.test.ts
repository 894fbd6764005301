/** What every plugin does before it begins: the order of checks of the specification's reference implementation. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { GO, OURS, PLUGINS, type Side, VERSIONS } from '../lab/programs.ts';

const NOWHERE = '/run/netns/absent-of-braid';
const LONG = 'abcdefghijklmnop';

interface Row {
  readonly title: string;
  readonly verb: string | undefined;
  /** variables set, or taken away with undefined */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly conf?: unknown;
  readonly code: number;
  /** in the message */
  readonly says?: RegExp;
  readonly details?: RegExp;
}

const VARIABLES = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'] as const;
const NEEDED: Readonly<Record<string, readonly (typeof VARIABLES)[number][]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  GC: ['CNI_PATH'],
  STATUS: ['CNI_PATH'],
};
const VERBS = Object.keys(NEEDED);

/** Every set of missing variables of every verb: absent or empty, it is the same. */
const missing: readonly Row[] = VERBS.flatMap((verb) => {
  const names = NEEDED[verb] ?? [];
  return Array.from({ length: 2 ** names.length - 1 }, (_, mask) =>
    names.filter((__, bit) => ((mask + 1) >> bit) & 1),
  ).map(
    (absent, index): Row => ({
      title: `${verb} without ${absent.join(', ')}`,
      verb,
      env: Object.fromEntries(absent.map((name) => [name, index % 2 === 0 ? undefined : ''])),
      code: 4,
      says: new RegExp(`\\[${absent.join(',')}\\]`),
    }),
  );
});

const identifiers: readonly Row[] = [
  ...['-a', '.a', '_a', 'a/b', 'a b', 'ä', 'a:b', 'a\nb', ' a'].map(
    (id): Row => ({
      title: `ADD with container ID ${JSON.stringify(id)}`,
      verb: 'ADD',
      env: { CNI_CONTAINERID: id },
      code: 4,
      details: /./,
    }),
  ),
  ...[
    '.',
    '..',
    'a/b',
    'a:b',
    'a b',
    'a\tb',
    'a\u0085b',
    'a\u00a0b',
    'a\u1680b',
    'a\u2007b',
    'a\u2028b',
    'a\u3000b',
    LONG,
    'éééééééé',
  ].map(
    (name): Row => ({
      title: `ADD with interface name ${JSON.stringify(name)}`,
      verb: 'ADD',
      env: { CNI_IFNAME: name },
      code: 4,
    }),
  ),
  {
    title: 'a bad container ID before missing variables',
    verb: 'ADD',
    env: { CNI_CONTAINERID: '-a', CNI_NETNS: undefined, CNI_PATH: undefined },
    code: 4,
    details: /-a/,
  },
  {
    title: 'a bad interface name before a missing namespace',
    verb: 'ADD',
    env: { CNI_IFNAME: 'a/b', CNI_NETNS: undefined },
    code: 4,
    says: /interface name|CNI_IFNAME/i,
  },
  { title: 'a bad container ID before broken JSON', verb: 'DEL', env: { CNI_CONTAINERID: '-a' }, conf: '{', code: 4 },
];

const good = { cniVersion: '1.1.0', name: 'net-a' };
const documents: readonly Row[] = [
  ...['', '{', 'x', '[]', '7', '"x"', '{}x', '{} {}', '{"name":"a"}\u00a0', "{'name':'a'}", '{"name":"a",}'].map(
    (text): Row => ({ title: `stdin ${JSON.stringify(text)}`, verb: 'DEL', conf: text, code: 6 }),
  ),
  ...[7, true, [], {}].map(
    (name): Row => ({ title: `name ${JSON.stringify(name)}`, verb: 'DEL', conf: { ...good, name }, code: 6 }),
  ),
  ...[undefined, null, ''].map(
    (name): Row => ({
      title: `name ${JSON.stringify(name) ?? 'absent'}`,
      verb: 'DEL',
      conf: { ...good, name },
      code: 7,
    }),
  ),
  ...['-a', 'a/b', '../a', 'a b', 'ä', ' a', 'a\n'].map(
    (name): Row => ({
      title: `name ${JSON.stringify(name)}`,
      verb: 'DEL',
      conf: { ...good, name },
      code: 7,
      details: /./,
    }),
  ),
  { title: 'null for a document', verb: 'DEL', conf: 'null', code: 7 },
  { title: 'the name before the version', verb: 'DEL', conf: { cniVersion: 'x', name: '-a' }, code: 7 },
  { title: 'an unknown verb and broken JSON', verb: 'FOO', conf: '{', code: 6 },
  { title: 'an unknown verb and a missing name', verb: 'FOO', conf: {}, code: 7 },
  { title: 'an unknown verb', verb: 'FOO', conf: good, code: 4, says: /^unknown CNI_COMMAND: FOO$/ },
  { title: 'an unknown verb before an unknown version', verb: 'FOO', conf: { ...good, cniVersion: 'x' }, code: 4 },
  { title: 'a verb in small letters', verb: 'add', conf: good, code: 4 },
];

const versions: readonly Row[] = [
  ...[7, true, [], {}].map(
    (cniVersion): Row => ({
      title: `cniVersion ${JSON.stringify(cniVersion)}`,
      verb: 'DEL',
      conf: { ...good, cniVersion },
      code: 6,
    }),
  ),
  ...['0.5.0', '1.2.0', '2.0.0', '0.3', '1', 'x', '1.0.0 ', 'v1.0.0', '01.0.0'].map(
    (cniVersion): Row => ({
      title: `DEL of version ${JSON.stringify(cniVersion)}`,
      verb: 'DEL',
      conf: { ...good, cniVersion },
      code: 1,
      details: /0\.1\.0.*1\.1\.0/,
    }),
  ),
  ...['', '0.1.0', '0.2.0', '0.3.0', '0.3.1'].map(
    (cniVersion): Row => ({
      title: `CHECK of version "${cniVersion}"`,
      verb: 'CHECK',
      conf: { ...good, cniVersion },
      code: 1,
    }),
  ),
  ...['GC', 'STATUS'].flatMap((verb) =>
    ['', '0.4.0', '1.0.0', '0.3', '1'].map(
      (cniVersion): Row => ({
        title: `${verb} of version "${cniVersion}"`,
        verb,
        conf: { ...good, cniVersion },
        code: 1,
      }),
    ),
  ),
  ...['CHECK', 'GC', 'STATUS'].flatMap((verb) => [
    ...['x', '1.1.0.0', '1.x', 'v1.1.0'].map(
      (cniVersion): Row => ({
        title: `${verb} of version "${cniVersion}"`,
        verb,
        conf: { ...good, cniVersion },
        code: 6,
      }),
    ),
    ...['1.2.0', '2.0.0'].map(
      (cniVersion): Row => ({
        title: `${verb} of version "${cniVersion}"`,
        verb,
        conf: { ...good, cniVersion },
        code: 1,
      }),
    ),
  ]),
  { title: 'CHECK of version "0.5.0"', verb: 'CHECK', conf: { ...good, cniVersion: '0.5.0' }, code: 1 },
];

const ROWS = [...missing, ...identifiers, ...documents, ...versions];

const SUBJECTS: readonly { readonly name: string; readonly side: Side; readonly plugin: string }[] = [
  ...PLUGINS.map((plugin) => ({ name: plugin, side: OURS, plugin })),
  { name: 'macvlan of Go', side: GO, plugin: 'macvlan' },
];

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(() => lab[Symbol.asyncDispose]());

function call(
  side: Side,
  plugin: string,
  { verb, env = {}, conf = { ...good, type: plugin } }: Pick<Row, 'verb' | 'env' | 'conf'>,
): Promise<Outcome> {
  return lab.call(
    {
      verb: verb ?? '',
      plugin,
      conf,
      netns: NOWHERE,
      env: { ...(verb === undefined ? { CNI_COMMAND: undefined } : {}), ...env },
    },
    side,
  );
}

describe.concurrent.each(SUBJECTS)('$name', ({ side, plugin }) => {
  for (const { code, says, details, ...row } of ROWS) {
    it(`refuses ${row.title}, with code ${code}`, async () => {
      const outcome = await call(side, plugin, row);
      const error = errorOf(outcome);
      expect({ exit: outcome.exitCode, code: error.code }).toEqual({ exit: 1, code });
      if (says !== undefined) {
        expect(error.message).toMatch(says);
      }
      if (details !== undefined) {
        expect(error.details ?? '').toMatch(details);
      }
    });
  }

  it.each(['', '{', '7', '{"cniVersion":"0.3.1","name":"a"}', 'x'.repeat(100_000)])(
    'answers VERSION whatever is on stdin (%#)',
    async (conf) => {
      const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_PATH: undefined };
      const outcome = await call(side, plugin, { verb: 'VERSION', env, conf });
      const supported = VERSIONS.map((version) => `"${version}"`).join(',');
      expect(outcome).toEqual({
        exitCode: 0,
        signal: undefined,
        stdout: `{"cniVersion":"1.1.0","supportedVersions":[${supported}]}\n`,
        stderr: '',
      });
    },
  );

  it.each([undefined, ''])('tells people about itself when CNI_COMMAND is %j', async (command) => {
    const outcome = await call(side, plugin, {
      verb: undefined,
      env: { CNI_COMMAND: command, CNI_PATH: undefined, CNI_NETNS: undefined },
    });
    expect({ ...outcome, stderr: '' }).toEqual({ exitCode: 0, signal: undefined, stdout: '', stderr: '' });
    expect(outcome.stderr).toContain(plugin);
    expect(outcome.stderr).toContain(VERSIONS.join(', '));
  });

  it('has code 5 when stdin cannot be read', async () => {
    const { stdout, exitCode } = await lab.execute(['sh', '-c', 'exec "$0" < /', `${side.bin}/${plugin}`], {
      env: {
        CNI_COMMAND: 'DEL',
        CNI_CONTAINERID: 'c1',
        CNI_IFNAME: 'net1',
        CNI_PATH: '/nowhere',
        PATH: process.env['PATH'] ?? '',
      },
    });
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('"code": 5') });
  });

  it('prints errors with four blanks and no newline at the end', async () => {
    const { stdout } = await call(side, plugin, { verb: 'ADD', conf: '{' });
    expect(stdout).toBe(JSON.stringify(JSON.parse(stdout), null, 4));
  });
});
