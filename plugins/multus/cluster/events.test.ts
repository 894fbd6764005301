import { describe, expect, it } from 'vitest';
import { ApiError, type KubeApi } from '../../../lib/kube/api.ts';
import { addedInterface, noNetworkFound, PodEvents } from './events.ts';

const POD = { namespace: 'demo', name: 'web', uid: 'u1', resourceVersion: '7' };

type Sent = Record<string, unknown> & { readonly metadata: { readonly name: string } };

/** A server that keeps what it is sent; what `answer` throws it refuses, and what never ends it does not answer. */
function server(answer: () => Promise<void> = async () => undefined) {
  const sent: Sent[] = [];
  const paths: unknown[] = [];
  const create = async (path: unknown, object: unknown): Promise<never> => {
    paths.push(path);
    await answer();
    sent.push(object as Sent);
    return object as never;
  };
  return { sent, paths, api: { create } as unknown as Pick<KubeApi, 'create'> };
}

const recorder = (lines: string[] = [], deadlineMs?: number, name = 'web') =>
  new PodEvents(
    { ...POD, name },
    { log: (line) => lines.push(line), ...(deadlineMs === undefined ? {} : { deadlineMs }) },
  );

const added = (ifName: string) => addedInterface(ifName, { interfaces: [{ name: ifName }], ips: [] }, 'demo/lan');

describe('the message of an event', () => {
  const ips = [{ address: '10.9.0.5/24' }, { address: 'fd00::5/64' }];

  it('tells interface, addresses and network', () => {
    expect(addedInterface('eth0', { interfaces: [], ips }, 'cl')).toEqual({
      type: 'Normal',
      reason: 'AddedInterface',
      message: 'Add eth0 [10.9.0.5/24 fd00::5/64] from cl',
    });
    expect(addedInterface('net1', { interfaces: [{ name: 'net1' }], ips: [] }, '')?.message).toBe('Add net1 []');
    expect(addedInterface('net1', { interfaces: [], ips: [] }, 'cl')).toBeUndefined();
  });

  it('tells which object is missing, and why', () => {
    const cause = 'network-attachment-definitions.k8s.cni.cncf.io "lan" not found';
    expect(noNetworkFound('lan', 'demo', cause)).toEqual({
      type: 'Warning',
      reason: 'NoNetworkFound',
      message: `cannot find a network-attachment-definition (lan) in namespace (demo): ${cause}`,
    });
    expect(noNetworkFound('lan', 'demo', 'x'.repeat(9000)).message.length).toBeLessThan(1200);
  });
});

describe('events of a pod', () => {
  it('have the form of those of client-go', async () => {
    const { sent, paths, api } = server();
    const events = recorder();
    events.record(added('net1'));
    events.record(undefined);
    await events.flush(api);
    expect(paths).toEqual([{ resource: { group: '', version: 'v1', plural: 'events' }, namespace: 'demo' }]);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(sent).toEqual([
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: expect.stringMatching(/^web\.[0-9a-f]{16}$/), namespace: 'demo' },
        involvedObject: {
          apiVersion: 'v1',
          kind: 'Pod',
          namespace: 'demo',
          name: 'web',
          uid: 'u1',
          resourceVersion: '7',
        },
        reason: 'AddedInterface',
        message: 'Add net1 [] from demo/lan',
        source: { component: 'multus' },
        firstTimestamp: time,
        lastTimestamp: time,
        count: 1,
        type: 'Normal',
        reportingComponent: 'multus',
        reportingInstance: '',
      },
    ]);
  });

  it('wait for the end of the call, and are sent once, together, in order', async () => {
    let waiting = 0;
    let most = 0;
    const { sent, api } = server(async () => {
      most = Math.max(most, ++waiting);
      await new Promise((resolve) => setImmediate(resolve));
      waiting--;
    });
    const events = recorder();
    for (const name of ['eth0', 'net1', 'net2']) {
      events.record(added(name));
    }
    expect(sent).toEqual([]);
    await events.flush(api);
    expect(sent.map(({ message }) => message)).toEqual(
      ['eth0', 'net1', 'net2'].map((name) => `Add ${name} [] from demo/lan`),
    );
    expect(most).toBe(3);
    expect(new Set(sent.map(({ metadata }) => metadata.name)).size).toBe(3);
    await events.flush(api);
    expect(sent).toHaveLength(3);
  });

  it('are ten at most of a kind: the last one tells of all the others', { tags: ['multus/events'] }, async () => {
    const { sent, api } = server();
    const events = recorder();
    events.record(noNetworkFound('lan', 'demo', 'gone'));
    for (let index = 0; index < 16; index++) {
      events.record(added(`net${index}`));
    }
    await events.flush(api);
    expect(sent).toHaveLength(11);
    expect(sent.at(-2)).toMatchObject({ message: 'Add net8 [] from demo/lan', count: 1 });
    const rest = ['net9', 'net10', 'net11', 'net12', 'net13', 'net14', 'net15'].map(
      (name) => `Add ${name} [] from demo/lan`,
    );
    expect(sent.at(-1)).toMatchObject({ message: `(combined from similar events): ${rest.join(', ')}`, count: 7 });
  });

  it('that the server refuses are logged, and the others sent', async () => {
    let count = 0;
    const { sent, api } = server(async () => {
      if (++count === 1) {
        throw new Error('cannot create events "web.1" in "demo": forbidden');
      }
    });
    const lines: string[] = [];
    const events = recorder(lines);
    events.record(added('eth0'));
    events.record(added('net1'));
    await events.flush(api);
    expect(sent.map(({ message }) => message)).toEqual(['Add net1 [] from demo/lan']);
    expect(lines).toEqual([
      'cannot tell pod "web" of "Add eth0 [] from demo/lan": cannot create events "web.1" in "demo": forbidden',
    ]);
  });

  it('are sent again when nobody knows what became of them, and not twice', async () => {
    const lines: string[] = [];
    const lost = new ApiError('lost', { isOutcomeUnknown: true });
    const there = new ApiError('there', { status: 409, reason: 'AlreadyExists' });
    for (const outcomes of [[lost], [lost, lost], [lost, there], [there]]) {
      const events = recorder(lines);
      events.record(added('eth0'));
      const errors: Error[] = [...outcomes];
      const { paths, api } = server(async () => {
        const error = errors.shift();
        if (error !== undefined) {
          throw error;
        }
      });
      await events.flush(api);
      expect(paths).toHaveLength(outcomes.filter((error) => error === lost).length + 1);
    }
    expect(lines).toEqual([]);
    const events = recorder(lines);
    events.record(added('eth0'));
    const { paths, api } = server(() => Promise.reject(lost));
    await events.flush(api);
    expect([paths.length, lines]).toEqual([3, ['cannot tell pod "web" of "Add eth0 [] from demo/lan": lost']]);
  });

  it('hold up no call when the server does not answer', async () => {
    const lines: string[] = [];
    let refuse = (_: Error): void => undefined;
    const events = recorder(lines, 20);
    events.record(added('eth0'));
    await events.flush(server(() => new Promise((_, reject) => (refuse = reject))).api);
    const told = ['cannot tell pod "web" of "Add eth0 [] from demo/lan": the server has not answered within 0.02 s'];
    expect(lines).toEqual(told);
    refuse(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines).toEqual(told);
  });

  it('have names that objects can have, however long that of the pod is', async () => {
    const { sent, api } = server();
    const events = recorder([], undefined, `${'a'.repeat(235)}-${'b'.repeat(17)}`);
    events.record(added('eth0'));
    await events.flush(api);
    expect(sent[0]?.metadata.name).toMatch(/^a{235}\.[0-9a-f]{16}$/);
  });
});
