/** What an agent tells about itself and its calls. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { BASE_ENV, execute, type Outcome } from '../lab/execute.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { type Call, STANDALONE } from '../lab/programs.ts';
import { Agent } from './agent.ts';
import { multus, network } from './networks.ts';

const OK = { exitCode: 0 };
const SOCKET_MODE = 0o140600;

const macvlan = (lab: Lab, pod: Pod, verb: string): Call => ({
  plugin: 'macvlan',
  verb,
  netns: pod.path,
  conf: network(lab),
});

const BRAID = join(STANDALONE, 'braid');

const braid = (agent: Agent, ...words: readonly string[]): Promise<Outcome> =>
  execute([BRAID, ...words, '--status', agent.status]);

/** A pod of a lab with two networks, attached by one call. */
async function attached(lab: Lab, agent: Agent): Promise<string> {
  const pod = await lab.pod();
  const call: Call = {
    plugin: 'multus',
    verb: 'ADD',
    ifName: 'eth0',
    netns: pod.path,
    conf: multus(lab, agent.launchers.bin, [network(lab, 0), network(lab, 1)]),
    env: { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0' },
  };
  expect(await agent.call(call)).toMatchObject(OK);
  return pod.name;
}

describe('metrics of an agent', () => {
  it('tell of calls by plugin, verb and code, and of their steps', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    expect(await agent.call(macvlan(lab, pod, 'ADD'))).toMatchObject(OK);
    expect(await agent.call(macvlan(lab, pod, 'ADD'))).toMatchObject({ exitCode: 1 });
    const { status, text } = await agent.ask('/metrics');
    expect(status).toBe(200);
    expect(text).toMatch(/^braid_calls_total\{plugin="macvlan",verb="ADD",code="0"\} 1$/m);
    expect(text).toMatch(/^braid_calls_total\{plugin="macvlan",verb="ADD",code="\d+"\} 1$/m);
    expect(text).toMatch(/^braid_call_seconds_count\{plugin="macvlan",verb="ADD"\} 2$/m);
    expect(text).toMatch(/^braid_step_seconds_count\{plugin="whereabouts",verb="ADD",step="plugin"\} [12]$/m);
    expect(text).toMatch(/^braid_step_seconds_bucket\{plugin="macvlan",verb="ADD",step="netlink",le="\+Inf"\} \d+$/m);
    expect(text).not.toContain(pod.name);
  });

  it('tell how many addresses each pool has given, and nothing of one that has none any more', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const [pod, other] = [await lab.pod(), await lab.pod()];
    const pool = `braid_pool_addresses{store="${join(lab.dir, 'store')}",network="",range="10.5.0.0/24"}`;
    expect((await agent.ask('/metrics')).text).not.toContain('braid_pool_addresses');
    for (const one of [pod, other]) {
      expect(await agent.call({ ...macvlan(lab, one, 'ADD'), containerId: one.name })).toMatchObject(OK);
    }
    expect((await agent.ask('/metrics')).text).toContain(`${pool} 2\n`);
    for (const one of [pod, other]) {
      expect(await agent.call({ ...macvlan(lab, one, 'DEL'), containerId: one.name })).toMatchObject(OK);
    }
    expect((await agent.ask('/metrics')).text).not.toContain(`${pool} `);
  });

  it('are for root alone', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    expect((await agent.ask('/readyz')).text).toBe('takes calls\n');
    expect(statSync(agent.status).mode).toBe(SOCKET_MODE);
    expect((await agent.ask('/nothing')).status).toBe(404);
  });

  it('are there again when the socket was deleted, with its folder too, and the agent that follows has them', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const again = (): number => agent.log.match(/serves status again: the socket was deleted/g)?.length ?? 0;
    rmSync(agent.status);
    await agent.until(() => again() === 1);
    expect((await agent.ask('/readyz')).text).toBe('takes calls\n');
    rmSync(dirname(agent.status), { recursive: true });
    await agent.until(() => again() === 2);
    expect((await agent.ask('/readyz')).text).toBe('takes calls\n');
    expect(statSync(agent.status).mode).toBe(SOCKET_MODE);
    const { ino } = statSync(agent.status);
    await agent.start();
    expect(await agent.firstEnd()).toBe(0);
    expect(statSync(agent.status).ino).not.toBe(ino);
    expect((await agent.ask('/readyz')).text).toBe('takes calls\n');
  });
});

describe('the log of an agent', () => {
  it('has a line of JSON for each call, and nothing of its configuration', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const call = macvlan(lab, pod, 'ADD');
    expect(await agent.call({ ...call, conf: { ...(call.conf as object), secret: 'hush' } })).toMatchObject(OK);
    await agent.until(() => agent.log.includes('"message":"call"'));
    const lines = agent.log.trimEnd().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    expect(told.find(({ message }) => message === 'call')).toMatchObject({
      level: 'info',
      plugin: 'macvlan',
      verb: 'ADD',
      ifName: 'net1',
      code: 0,
      ms: expect.any(Number),
      parts: expect.any(Number),
    });
    expect(agent.log).not.toContain('hush');
  });

  it('has none from a higher level on', async () => {
    await using lab = await Lab.open();
    await using agent = Agent.of(lab, { options: ['--status', 'none', '--log-level', 'error'] });
    await agent.start(() => existsSync(agent.socket));
    expect(await agent.call(macvlan(lab, await lab.pod(), 'ADD'))).toMatchObject(OK);
    expect(agent.log).toBe('');
    expect(existsSync(agent.status)).toBe(false);
  });
});

describe('braid top', () => {
  it('prints what the agent has done, for people and for programs', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    await attached(lab, agent);
    const { stdout } = await braid(agent, 'top', '--once');
    expect(stdout).toMatch(/^braid agent \S+: 0 running, 0 waiting, \d+ MiB$/m);
    expect(stdout).toMatch(/^multus +ADD +1 /m);
    expect(stdout).toMatch(/^netlink +macvlan +ADD +\d+ /m);
    expect(JSON.parse((await braid(agent, 'top', '--json')).stdout)).toMatchObject({
      calls: [{ plugin: 'multus', verb: 'ADD', count: 1 }],
    });
  });

  it.each([
    ['q', 'q'],
    ['control-C', '\u0003'],
  ])('shows a picture in a terminal until %s, and gives the terminal back as it was', async (_, key) => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const command = `stty -g; ${BRAID} top --status ${agent.status} --interval 0.1; echo "ended $?"; stty -g`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: BASE_ENV, stdio: 'pipe' });
    let shown = '';
    child.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString('utf8');
    });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    await agent.until(() => shown.split('0 running').length > 3);
    child.stdin.write(key);
    await ended;
    expect(shown).toContain('ended 0');
    expect(shown.indexOf('\u001b[?1049h')).toBeLessThan(shown.indexOf('no calls yet'));
    expect(shown).toContain('\u001b[?25h\u001b[?1049l');
    const [before, after, ...more] = shown.match(/^[0-9a-f]+(:[0-9a-f]+){20,}/gm) ?? [];
    expect(more).toEqual([]);
    expect(before).toBeDefined();
    expect(after).toBe(before);
  });

  it('says what to do where no agent runs', async () => {
    await using lab = await Lab.open();
    const { exitCode, stderr } = await braid(Agent.of(lab), 'top');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('no agent runs there: "braid agent" is one');
  });
});

describe('braid trace', () => {
  it("draws where the time of a pod's last calls went", async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    await attached(lab, agent);
    const { stdout } = await braid(agent, 'trace', 'shop/web-0');
    expect(stdout).toMatch(/^ADD for shop\/web-0 \(.*\) at .*Z: [\d.]+ ms, 1 call$/m);
    expect(stdout).toMatch(/^call multus eth0 +[\d.]+ {2}#+$/m);
    expect(stdout).toMatch(/^ {2}multus ADD +[\d.]+ /m);
    expect(stdout.match(/^ {4}macvlan ADD +[\d.]+ /gm)).toHaveLength(2);
    expect(stdout).toMatch(/^ {6}whereabouts ADD +[\d.]+ /m);
    const file = join(lab.dir, 'trace.svg');
    expect(await braid(agent, 'trace', 'web-0', '--svg', file)).toMatchObject({ exitCode: 0, stdout: '' });
    expect(readFileSync(file, 'utf8')).toMatch(/^<svg .*macvlan ADD.*<\/svg>\n$/s);
    expect(await braid(agent, 'trace', 'web-1')).toMatchObject({ exitCode: 1 });
  });
});

/** A collector in the namespace of a lab's node, which appends what it gets to a file. */
const COLLECTOR = `
require('node:http').createServer((request, answer) => {
  let body = '';
  request.on('data', (chunk) => { body += chunk; });
  request.on('end', () => { require('node:fs').appendFileSync(process.argv[1], body + '\\n'); answer.end('{}'); });
}).listen(4318, '127.0.0.1', () => console.log('listens'));`;

describe('spans of an agent', () => {
  const [trace, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];

  it('go to a collector, for calls of a trace only', async () => {
    await using lab = await Lab.open();
    await lab.ip(lab.node, 'link set lo up');
    const file = join(lab.dir, 'spans');
    const collector = spawn('ip', ['netns', 'exec', lab.node, process.execPath, '-e', COLLECTOR, file], {
      env: BASE_ENV,
      stdio: 'pipe',
    });
    try {
      await new Promise((resolve) => collector.stdout.once('data', resolve));
      await using agent = await Agent.start(lab, { options: ['--otlp', 'http://127.0.0.1:4318'] });
      const call = macvlan(lab, await lab.pod(), 'ADD');
      expect(await agent.call(call)).toMatchObject(OK);
      expect(
        await agent.call({ ...call, verb: 'CHECK', env: { TRACEPARENT: `00-${trace}-${parent}-01` } }),
      ).toMatchObject({ exitCode: 1 }); // without a result of before
      await agent.until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
      const { resourceSpans } = JSON.parse(readFileSync(file, 'utf8'));
      const { spans } = resourceSpans[0].scopeSpans[0];
      expect(spans[0]).toMatchObject({ traceId: trace, parentSpanId: parent, name: 'call macvlan CHECK' });
      expect(spans).toContainEqual(expect.objectContaining({ name: 'macvlan CHECK', parentSpanId: spans[0].spanId }));
      const isCounted = async (): Promise<boolean> =>
        (await agent.ask('/metrics')).text.includes(`braid_spans_exported_total ${spans.length}\n`);
      await eventually(isCounted, true); // when the collector has answered
    } finally {
      collector.kill();
    }
  });

  it('do not hold calls up where the collector is away', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab, { options: ['--otlp', 'http://127.0.0.1:9'] });
    const call = macvlan(lab, await lab.pod(), 'ADD');
    expect(await agent.call({ ...call, env: { TRACEPARENT: `00-${trace}-${parent}-01` } })).toMatchObject(OK);
    await agent.until(() => agent.log.includes('cannot export spans'));
    expect(await agent.call({ ...call, verb: 'DEL' })).toMatchObject(OK);
    expect(await agent.end()).toBe(0);
  });
});
