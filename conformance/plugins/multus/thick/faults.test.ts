/** Callers of the agent's HTTP that are in each other's way, end too early, or mean no good. */
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../../lab/eventually.ts';
import { fake } from '../../../lab/fakes.ts';
import { Lab, type Pod } from '../../../lab/lab.ts';
import { OURS } from '../../../lab/programs.ts';
import { chained, letGo, network, reached, untilLetGo } from '../../../resident/networks.ts';
import { connectAs, exchange } from '../../../resident/sockets.ts';
import { askOver, POD, Thick } from './thick.ts';

const OK = { exitCode: 0 };
const NOBODY = 65_534;

/** A plugin that notes when its calls begin and end, and whose ADD waits in the middle until `letGo`. */
const slowPlugin = (lab: Lab): string =>
  [
    'cat >/dev/null',
    `note() { echo "$1 $CNI_COMMAND" >> ${join(lab.dir, 'noted')}; }`,
    'note begins',
    `[ "$CNI_COMMAND" = ADD ] && { ${untilLetGo(lab)}; echo '{"cniVersion":"1.1.0"}'; }`,
    'note ends',
  ].join('\n');

const noted = (lab: Lab): readonly string[] => {
  const file = join(lab.dir, 'noted');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
};

/** Delegates of which the second one is slow; the folder of the agent's plugins has it. */
async function withSlow(): Promise<{ readonly thick: Thick; readonly pod: Pod; readonly conf: object }> {
  const thick = await Thick.open((lab) => ({ binDir: pluginsAnd(lab) }));
  const conf = { cniVersion: '1.1.0', name: 'node', delegates: [chained(thick.lab, 'slow')] };
  return { thick, pod: await thick.lab.pod(), conf };
}

/** Our plugins, and the slow one. */
function pluginsAnd(lab: Lab): string {
  for (const name of ['macvlan', 'whereabouts']) {
    fake(lab, name, `exec ${join(OURS.bin, name)}`);
  }
  return fake(lab, 'slow', slowPlugin(lab));
}

describe('calls for one sandbox', () => {
  it('are served in order, through shims and launchers', { tags: 'multus/thick-order' }, async () => {
    const { thick, pod, conf } = await withSlow();
    await using _ = thick;
    const adding = thick.shim({ verb: 'ADD', netns: pod.path, conf });
    await thick.agent.until(() => reached(thick.lab));
    const call = { plugin: 'multus', ifName: 'eth0', args: POD, netns: pod.path };
    const own = { ...conf, type: 'multus', cniDir: join(thick.lab.dir, 'multus'), binDir: join(thick.lab.dir, 'fake') };
    const deleting = Promise.all([
      thick.shim({ verb: 'DEL', netns: pod.path, conf }),
      thick.agent.call({ ...call, verb: 'DEL', conf: own }),
    ]);
    const bothWait = async () => (await thick.agent.ask('/metrics')).text.includes('\nbraid_calls_waiting 2\n');
    await eventually(bothWait, true);
    letGo(thick.lab);
    expect(await adding).toMatchObject(OK);
    expect(await deleting).toMatchObject([OK, OK]);
    expect(noted(thick.lab).slice(0, 4)).toEqual(['begins ADD', 'ends ADD', 'begins DEL', 'ends DEL']);
    expect(await thick.linksOf(pod)).toEqual(['lo']);
  });

  it('end with their shim, and are taken back', { tags: 'multus/thick-order' }, async () => {
    const { thick, pod, conf } = await withSlow();
    await using _ = thick;
    let kill: () => void = () => undefined;
    const adding = thick.shim({ verb: 'ADD', netns: pod.path, conf }, (end) => {
      kill = end;
    });
    await thick.agent.until(() => reached(thick.lab));
    kill();
    expect(await adding).toMatchObject({ signal: 'SIGKILL' });
    expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf })).toMatchObject(OK);
    expect(noted(thick.lab)).not.toContain('ends ADD');
    expect([await thick.linksOf(pod), (await thick.everything(pod)).files]).toEqual([['lo'], []]);
  });

  it('are finished by an agent that is told to end', async () => {
    const { thick, pod, conf } = await withSlow();
    await using _ = thick;
    const adding = thick.shim({ verb: 'ADD', netns: pod.path, conf });
    await thick.agent.until(() => reached(thick.lab));
    const ended = thick.agent.end();
    await thick.agent.until(() => thick.agent.log.includes('ends: ended by SIGTERM'));
    letGo(thick.lab);
    expect(await adding).toMatchObject(OK);
    expect(await ended).toBe(0);
    expect(existsSync(thick.socket)).toBe(false);
    await thick.agent.start();
    expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf })).toMatchObject(OK);
    expect(await thick.linksOf(pod)).toEqual(['lo']);
  });
});

describe('another agent', () => {
  it('takes the socket over while shims call: no call fails', async () => {
    await using thick = await Thick.open();
    const pod = await thick.lab.pod();
    const conf = { cniVersion: '1.1.0', name: 'node', delegates: [network(thick.lab)] };
    const taken = thick.agent.start();
    for (let round = 0; round < 5; round++) {
      for (const verb of ['ADD', 'DEL']) {
        expect(await thick.shim({ verb, netns: pod.path, conf })).toMatchObject(OK);
      }
    }
    await taken;
    expect(await thick.agent.firstEnd()).toBe(0);
    rmSync(thick.socket);
    await thick.agent.until(() => existsSync(thick.socket));
    expect(await thick.ask('/healthz')).toMatchObject({ status: 200 });
  });
});

describe('a caller', { tags: 'multus/thick-callers' }, () => {
  it('is root, wherever the socket is', async () => {
    await using thick = await Thick.open();
    expect([statSync(thick.dir).mode & 0o777, statSync(thick.socket).mode & 0o777]).toEqual([0o700, 0o600]);
    for (const path of [thick.lab.dir, thick.dir]) {
      chmodSync(path, 0o755);
      expect(await connectAs(NOBODY, thick.socket)).toBe('EACCES');
    }
    chmodSync(thick.socket, 0o666);
    expect(['closed', 'EPIPE', 'ECONNRESET']).toContain(await connectAs(NOBODY, thick.socket));
    await thick.agent.until(() => thick.agent.log.includes(`user ${NOBODY} may not call`));
  });

  it('that sends too slowly, or nothing, is left, and keeps others out no longer', async () => {
    await using thick = await Thick.open({ connectionLimit: 3 });
    const body = 'POST /cni HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{';
    const slow = ['', 'POST /cni', body].map((text) => exchange(thick.socket, Buffer.from(text), false));
    expect(await thick.ask('/healthz')).toMatchObject({ status: 200 });
    await Promise.all(slow);
    await thick.agent.until(() => thick.agent.log.includes('over HTTP: it took longer than 10 s'));
  });

  it('may send no more than any shim does', async () => {
    await using thick = await Thick.open();
    const outcomes = await Promise.all(
      Array.from({ length: 3 }, () => askOver(thick.socket, '/cni', ' '.repeat(8_000_000)).catch(String)),
    );
    // the agent may close before all has been sent
    expect(outcomes.filter((one) => typeof one !== 'string' && one.status !== 413)).toEqual([]);
    const large = await Promise.all(
      Array.from({ length: 6 }, () => askOver(thick.socket, '/cni', `{"env":{}}${' '.repeat(6_000_000)}`)),
    );
    expect(large.map(({ status, body }) => [status, body])).toEqual(
      new Array(6).fill([400, 'CNI_COMMAND is missing\n']),
    );
  });

  it('has one request for each connection', async () => {
    await using thick = await Thick.open();
    const one = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
    const answer = String(await exchange(thick.socket, Buffer.from(one.repeat(50)), false));
    expect(answer.match(/HTTP\/1.1 200/g)).toEqual(['HTTP/1.1 200']);
    expect(answer).toMatch(/^Connection: close\r$/m);
  });

  it('that says anything else is refused, and costs nothing', async () => {
    await using thick = await Thick.open();
    await thick.ask('/healthz');
    const before = await thick.agent.descriptors();
    const messages = [
      '',
      '\0',
      'BRD1',
      'GET /healthz HTTP/1.1\r\n\r\n', // without a host
      'POST /cni HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST /cni HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
      `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(50_000)}`,
      'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      ...Array.from({ length: 50 }, () => String.fromCharCode(...Array.from({ length: 60 }, () => random(256)))),
    ];
    const answers = await Promise.all(messages.map((text) => exchange(thick.socket, Buffer.from(text, 'latin1'))));
    expect(answers.filter((one) => one.length > 0 && !/^HTTP\/1.1 4\d\d /.test(String(one)))).toEqual([]);
    expect(await thick.ask('/healthz')).toMatchObject({ status: 200 });
    await thick.agent.untilNoMore(before);
  });

  it('waits in front of the socket when there are hundreds', async () => {
    await using thick = await Thick.open();
    const answers = await Promise.all(Array.from({ length: 400 }, () => thick.ask('/healthz')));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });
});

describe('the agent', { tags: 'multus/thick-callers' }, () => {
  it('does not listen in a folder that others may enter, nor with a daemon-config.json that it cannot use', async () => {
    await using lab = await Lab.open();
    const folder = lab.folder('open');
    chmodSync(folder, 0o755);
    const file = join(lab.dir, 'daemon-config.json');
    const start = () =>
      lab.execute([join(OURS.bin, 'braid'), 'agent', '--socket', join(lab.dir, 'run/x'), '--multus-config', file]);
    for (const [text, words] of [
      [JSON.stringify({ socketDir: folder }), 'others may enter it'],
      ['{"socketDir":', `cannot use "${file}"`],
      ['{"connectionLimit":-1}', '"connectionLimit"'],
    ] as const) {
      writeFileSync(file, text);
      expect(await start()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(words) });
    }
  });
});

const random = (below: number): number => Math.floor(Math.random() * below);
