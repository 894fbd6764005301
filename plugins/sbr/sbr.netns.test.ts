import { describe, expect, it } from 'vitest';
import { runPlugin } from '../../lib/cni/run.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { lockNetns } from '../../lib/netns/lock.ts';
import { failEachStep, isMadeToFail } from '../../lib/testing/failing.ts';
import { ip, Lab } from '../../lib/testing/lab.ts';
import { sbr } from './plugin.ts';

type Row = Readonly<Record<string, unknown>>;

/** An interface of the lab's pod, with an address of each family and a default route. */
async function makeInterface(lab: Lab, nth: number): Promise<void> {
  const name = `net${nth}`;
  const commands = [
    `link add ${name} type veth peer name ${name}p`,
    `link set ${name}p up`,
    `link set ${name} up`,
    `addr add 10.1.${nth}.3/24 dev ${name}`,
    `addr add fd00:${nth}::3/64 dev ${name} nodad`,
    `route add default via 10.1.${nth}.1 dev ${name} metric ${nth}`,
    `route add fd08:${nth}::/48 via fd00:${nth}::9 dev ${name}`,
  ];
  for (const command of commands) {
    ip('-n', lab.pod, ...command.split(' '));
  }
  const own = () => ip('-n', lab.pod, '-6', 'route', 'show', 'table', 'local', 'dev', name) as readonly Row[];
  await expect.poll(() => own().map(({ dst }) => dst)).toContain(`fd00:${nth}::3`); // the kernel makes it later
}

/** Routes and rules, both families; link-local ones come when the kernel likes. */
const routing = (lab: Lab): readonly (readonly Row[])[] =>
  ['-4', '-6'].flatMap((family) => [
    (ip('-n', lab.pod, family, 'route', 'show', 'table', 'all') as readonly Row[]).filter(
      ({ dst }) => !/^(fe80|ff00)/.test(String(dst)),
    ),
    ip('-n', lab.pod, family, 'rule') as readonly Row[],
  ]);

const tablesOf = (lab: Lab): readonly (readonly [source: unknown, table: unknown])[] =>
  ['-4', '-6'].flatMap((family) =>
    (ip('-n', lab.pod, family, 'rule') as readonly Row[])
      .filter(({ src }) => src !== 'all')
      .map(({ src, table }) => [src, table] as const),
  );

function run(lab: Lab, verb: string, nth: number, scope: Scope, change: (scope: Scope) => Scope = (own) => own) {
  const name = `net${nth}`;
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name, sandbox: lab.podPath }],
    ips: [
      { address: `10.1.${nth}.3/24`, gateway: `10.1.${nth}.1`, interface: 0 },
      { address: `fd00:${nth}::3/64`, gateway: `fd00:${nth}::1`, interface: 0 },
    ],
  };
  const document = { cniVersion: '1.1.0', name: 'n', type: 'sbr', prevResult };
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: lab.podPath,
    CNI_IFNAME: name,
    CNI_PATH: '/nowhere',
  };
  return runPlugin(sbr, { env, readStdin: () => Buffer.from(JSON.stringify(document)) }, change(scope));
}

describe('sbr on a real kernel', () => {
  it('leaves nothing when a step of ADD fails, whichever', async () => {
    using lab = new Lab();
    await makeInterface(lab, 1);
    const before = routing(lab);
    const failed = await failEachStep(
      (change) => run(lab, 'ADD', 1, lab.scope(), change),
      async () => {
        await run(lab, 'DEL', 1, lab.scope());
        ip('-n', lab.pod, 'link', 'del', 'net1');
        await makeInterface(lab, 1);
      },
      () => expect(routing(lab)).toEqual(before),
    );
    expect(failed.length).toBeGreaterThanOrEqual(12);
    expect(failed.filter((text) => !isMadeToFail(text))).toEqual([]);
  });

  it('gives interfaces that come at once tables of their own, in one process', async () => {
    using lab = new Lab();
    const all = [1, 2, 3, 4, 5, 6];
    for (const nth of all) {
      await makeInterface(lab, nth);
    }
    const scope = lab.scope();
    const outcomes = await Promise.all(all.map((nth) => run(lab, 'ADD', nth, scope)));
    expect(outcomes.map(({ exitCode }) => exitCode)).toEqual(all.map(() => 0));
    const tables = tablesOf(lab);
    expect(tables).toHaveLength(12);
    expect(new Set(tables.map(([, table]) => table)).size).toBe(12);
    await Promise.all(all.map((nth) => run(lab, 'DEL', nth, scope)));
    expect(tablesOf(lab)).toEqual([]);
    expect(scope.node.locks.size).toBe(0);
  });

  it('waits for whoever has locked the namespace, and says so when it takes too long', async () => {
    using lab = new Lab();
    await makeInterface(lab, 1);
    using netns = lab.openPod();
    using _lock = await lockNetns(lab.scope(), netns);
    const slept: number[] = [];
    const late = Object.create(lab.scope()) as Scope;
    let now = 0;
    Object.defineProperties(late, {
      now: { value: () => now },
      sleep: {
        value: async (ms: number) => {
          slept.push(ms);
          now += 1000;
        },
      },
    });
    const { stdout } = await run(lab, 'ADD', 1, late);
    expect(JSON.parse(stdout)).toMatchObject({
      code: 11,
      msg: expect.stringContaining(`cannot lock "${lab.podPath}"`),
    });
    expect(slept).toHaveLength(10);
    expect(tablesOf(lab)).toEqual([]);
    expect(await run(lab, 'DEL', 1, lab.scope())).toMatchObject({ exitCode: 0 }); // a pod can go all the same
  });
});
