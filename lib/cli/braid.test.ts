import { describe, expect, it } from 'vitest';
import type { Command, Host, Plugin } from '../cni/plugin.ts';
import { runCommandLine } from './braid.ts';

const logged: string[] = [];
const command: Command = {
  name: 'ipam look',
  usage: 'braid ipam look <folder>',
  about: 'looks',
  run: async ([first], _host, print) => {
    if (first === 'broken') {
      throw new Error('it is broken');
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

async function braid(...args: readonly string[]): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await runCommandLine(args, host, '1.2.3', (line) => lines.push(line));
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
    expect(await braid('ipam', 'look', '--help')).toEqual({ code: 0, text: 'usage: braid ipam look <folder>\nlooks' });
    expect((await braid('--version')).text).toBe('braid 1.2.3');
  });
  it('tells wrong usage from failure', async () => {
    expect((await braid('ipam', 'lookup')).code).toBe(2);
    expect((await braid('ipam', 'look', 'broken')).code).toBe(1);
    expect(logged).toEqual(['braid: it is broken']);
  });
});
