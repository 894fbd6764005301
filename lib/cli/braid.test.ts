import { describe, expect, it } from 'vitest';
import type { Command, Host, Plugin } from '../cni/plugin.ts';
import { runCommandLine } from './braid.ts';
import { WrongUsage } from './options.ts';
import type { Program } from './program.ts';

const logged: string[] = [];
const command: Command = {
  name: 'ipam look',
  usage: 'braid ipam look <folder>',
  about: 'looks',
  options: [['--deep', 'looks twice']],
  run: async ([first], _host, print) => {
    if (first === 'broken') {
      throw new Error('it is broken');
    }
    if (first === '--what') {
      throw new WrongUsage('there is no --what');
    }
    print(`looked at ${first}`);
    return first === undefined ? 2 : 0;
  },
};
const host = {
  registry: {
    whereabouts: async () => ({ commands: [command] }) as unknown as Plugin,
    macvlan: async () => ({}) as Plugin,
  },
  log: (line: string) => logged.push(line),
} as unknown as Host;

const program: Program = {
  version: '1.2.3',
  id: 'abc',
  form: 'script',
  file: '/x/script/braid',
  folder: '/x/script',
  env: {},
};

async function braid(...args: readonly string[]): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await runCommandLine(args, host, program, (line) => lines.push(line));
  return { code, text: lines.join('\n') };
}

describe('braid', () => {
  it('runs the command of a plugin with what follows its name', async () => {
    expect(await braid('ipam', 'look', '/x')).toEqual({ code: 0, text: 'looked at /x' });
    expect((await braid('ipam', 'look')).code).toBe(2);
  });
  it('lists commands and plugins, and shows the usage of each', async () => {
    expect(await braid('--help')).toMatchObject({ code: 0, text: expect.stringContaining('braid ipam look <folder>') });
    expect((await braid()).text).toContain('whereabouts, macvlan');
    expect(await braid('ipam', 'look', '--help')).toEqual({
      code: 0,
      text: 'usage: braid ipam look <folder>\nlooks\n\n  --deep  looks twice',
    });
    expect((await braid('--version')).text).toBe('braid 1.2.3');
  });
  it('offers its own commands beside those of plugins', async () => {
    expect((await braid('--help')).text).toMatch(/braid install .*[\s\S]*braid ipam look/);
    expect(await braid('install', '--help')).toMatchObject({ code: 0, text: expect.stringContaining('--replace') });
  });
  it('tells wrong usage from failure', async () => {
    expect((await braid('ipam', 'lookup')).code).toBe(2);
    expect((await braid('ipam', 'look', 'broken')).code).toBe(1);
    expect((await braid('ipam', 'look', '--what')).code).toBe(2);
    expect(logged).toEqual([
      'braid: there is no command "ipam lookup"',
      'braid: it is broken',
      'braid: there is no --what',
      'usage: braid ipam look <folder>',
    ]);
  });
});
