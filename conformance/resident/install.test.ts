/** `braid install --form resident`: what it leaves in the folder, and pods that are attached in one form and end in another. */
import { lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BASE_ENV, execute } from '../lab/execute.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { type Call, PLUGINS, SCRIPT, STANDALONE } from '../lab/programs.ts';
import { comparable, filesIn, stateOf } from '../lab/state.ts';
import { Store } from '../lab/store.ts';
import { Agent } from './agent.ts';
import { FORMS, Folder } from './folder.ts';
import { multus, network } from './networks.ts';

const OK = { exitCode: 0 };
const sizeOf = (path: string): number => lstatSync(path).size;

describe('braid install --form resident', () => {
  it('puts launchers, the program and what launchers need beside them; uninstall takes all of it out', async () => {
    await using lab = await Lab.open();
    const folder = new Folder(lab);
    await folder.install('resident');
    const names = readdirSync(folder.bin).filter((name) => !name.startsWith('.'));
    expect(names).toEqual([...PLUGINS, 'braid'].toSorted());
    const files = PLUGINS.map((name) => lstatSync(join(folder.bin, name)));
    expect(new Set(files.map(({ ino }) => ino)).size).toBe(1);
    expect(files.map(({ size, mode }) => size < 40_000 && (mode & 0o777) === 0o755)).not.toContain(false);
    const program = readFileSync(join(folder.bin, 'braid'));
    expect(program.equals(readFileSync(join(STANDALONE, 'braid')))).toBe(true);
    expect(lstatSync(join(folder.bin, '.braid/standalone')).ino).toBe(lstatSync(join(folder.bin, 'braid')).ino);
    expect((await folder.install('resident')).stdout).toContain('nothing to do');
    rmSync(join(folder.bin, '.braid/standalone'));
    expect((await folder.install('resident')).stdout).toMatch(/\.braid\/standalone +installed/);
    expect(await folder.uninstall()).toMatchObject(OK);
    expect(filesIn(folder.bin)).toEqual({});
  });

  it('comes from a script too, with the program beside it', async () => {
    await using lab = await Lab.open();
    const folder = new Folder(lab);
    const outcome = await folder.braid(`install --bin ${folder.bin} --form resident`, join(SCRIPT, 'braid'));
    expect(outcome, outcome.stderr).toMatchObject(OK);
    expect(sizeOf(join(folder.bin, 'macvlan'))).toBeLessThan(40_000);
    expect(sizeOf(join(folder.bin, '.braid/standalone'))).toBe(sizeOf(join(STANDALONE, 'braid')));
  });

  it('has its pods served by an agent, and without one by the program beside the launchers', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const folder = new Folder(lab);
    await folder.install('resident');
    const pod = await lab.pod();
    const call = (verb: string): Call => ({ plugin: 'macvlan', verb, netns: pod.path, conf: network(lab) });
    expect(await agent.call(call('ADD'), folder.side)).toMatchObject(OK);
    expect(await agent.end()).toBe(0);
    expect(await agent.call(call('DEL'), folder.side)).toMatchObject(OK);
    expect(await new Store(lab, { range: '10.5.0.0/24' }).add('probe')).toEqual(['10.5.0.1/24']);
  });
});

describe('a change of form', () => {
  const changes = FORMS.flatMap((from) => FORMS.filter((to) => to !== from).map((to) => [from, to] as const));

  it.each(changes)(
    'from %s to %s leaves pods whole, and what one has attached the other detaches',
    async (from, to) => {
      await using lab = await Lab.open();
      await using agent = await Agent.start(lab);
      const folder = new Folder(lab);
      await folder.install(from);
      const pod = await lab.pod();
      const picture = async () => [comparable(await stateOf(pod.name)), comparable(await stateOf(lab.node))];
      const before = await picture();
      const call = (verb: string, of: Pod = pod): Call => ({
        plugin: 'multus',
        verb,
        ifName: 'eth0',
        containerId: of.name,
        netns: of.path,
        conf: multus(lab, folder.bin, [network(lab), network(lab, 1)]),
      });
      const added = await agent.call(call('ADD'), folder.side);
      expect(added, added.stdout).toMatchObject(OK);
      await folder.install(to);
      expect(readdirSync(folder.bin).includes('.braid')).toBe(to === 'resident');
      const conf = { ...(call('CHECK').conf as object), prevResult: JSON.parse(added.stdout) as unknown };
      const checked = await agent.call({ ...call('CHECK'), conf }, folder.side);
      expect(checked, checked.stdout).toMatchObject(OK);
      const deleted = await agent.call(call('DEL'), folder.side);
      expect(deleted, deleted.stdout).toMatchObject(OK);
      expect(await picture()).toEqual(before);
      expect(Object.keys(filesIn(join(lab.dir, 'multus'))).filter((name) => !name.endsWith('/'))).toEqual([]);
      expect(await new Store(lab, { range: '10.5.0.0/24' }).add('probe')).toEqual(['10.5.0.1/24']);
    },
  );

  it('of some plugins keeps for the others what launchers need', async () => {
    await using lab = await Lab.open();
    const folder = new Folder(lab);
    await folder.install('resident', '--on-demand');
    await folder.install('standalone', '--plugins macvlan');
    expect(sizeOf(join(folder.bin, 'macvlan'))).toBe(sizeOf(join(STANDALONE, 'braid')));
    expect(sizeOf(join(folder.bin, 'multus'))).toBeLessThan(40_000);
    expect(readdirSync(join(folder.bin, '.braid'))).toEqual(['on-demand', 'standalone']);
    const env = { ...BASE_ENV, CNI_COMMAND: 'VERSION', BRAID_AGENT: 'none' };
    expect(await execute([join(folder.bin, 'multus')], { env })).toMatchObject(OK);
    await folder.install('standalone');
    expect(readdirSync(folder.bin)).not.toContain('.braid');
    expect(await folder.uninstall()).toMatchObject(OK);
    expect(filesIn(folder.bin)).toEqual({});
  });
});
