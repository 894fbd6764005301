/** Standard streams of a launcher: it is as patient as the program in whose place it is, and no more. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { execute, type Outcome } from '../lab/execute.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { envOf } from '../lab/programs.ts';
import { DEAF, LOGS, late, printingTo, waitingForReader } from '../lab/streams.ts';
import { Agent } from './agent.ts';
import { multus, network } from './networks.ts';

const LOUD = { logLevel: 'debug', logToStderr: true };

/** A node with an agent, and a pod. */
class Site implements AsyncDisposable {
  readonly lab: Lab;
  readonly agent: Agent;
  private readonly pod: Pod;

  private constructor(lab: Lab, agent: Agent, pod: Pod) {
    this.lab = lab;
    this.agent = agent;
    this.pod = pod;
  }

  static async open(): Promise<Site> {
    const lab = await Lab.open();
    return new Site(lab, await Agent.start(lab), await lab.pod());
  }

  /** What the agent answers on stdout. */
  readonly document = (): string => JSON.stringify({ ...network(this.lab), type: 'whereabouts' });

  program(plugin = 'whereabouts'): string {
    return join(this.agent.launchers.bin, plugin);
  }

  /** Runs a script of bash, whose `$0` is a folder, in the environment of a call. */
  shell(script: string, verb: string): Promise<Outcome> {
    const call = { plugin: '', verb, conf: '', netns: this.pod.path };
    return execute(['bash', '--norc', '-c', script, this.lab.folder(verb)], {
      env: { ...envOf(this.agent.launchers, call), BRAID_AGENT: this.agent.socket },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    await this.lab[Symbol.asyncDispose]();
  }
}

/** What a script calls gets a document. */
const given = (document: string, script: string): string => `printf '%s' '${document}' | { ${script}; }`;

it('waits for a configuration that comes late through a pipe that does not block', async () => {
  await using site = await Site.open();
  const outcome = await site.shell(late(site.document(), site.program()), 'STATUS');
  expect(outcome).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
});

it('waits for a reader of a full pipe that does not block, without using the processor', async () => {
  await using site = await Site.open();
  for (const [verb, word] of [
    ['VERSION', '"supportedVersions"'],
    ['ADD', '"ips"'],
  ] as const) {
    const { stdout, busy } = await waitingForReader(
      (script) => site.shell(given(site.document(), script), verb),
      site.program(),
    );
    expect(stdout).toContain(word);
    expect(busy).toBeLessThan(0.3);
  }
});

it.each(DEAF)('says in one line that $what did not take what it printed, and fails', async ({ to, says }) => {
  await using site = await Site.open();
  for (const verb of ['VERSION', 'ADD']) {
    const outcome = await site.shell(given(site.document(), printingTo(to, site.program())), verb);
    expect(outcome, verb).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(says) });
  }
});

it.each(LOGS)('attaches and detaches with its log on $what', async ({ script }) => {
  await using site = await Site.open();
  const conf = { ...multus(site.lab, site.agent.launchers.bin, [network(site.lab)]), ...LOUD };
  for (const verb of ['ADD', 'DEL']) {
    const outcome = await site.shell(script(given(JSON.stringify(conf), site.program('multus'))), verb);
    expect(outcome, verb).toMatchObject({ exitCode: 0 });
  }
});
