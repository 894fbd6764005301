import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GrpcError, STATUS } from '../../../lib/grpc/call.ts';
import { prefixed } from '../../../lib/grpc/framing.ts';
import { answerRaw, type Incoming, serveRaw } from '../../../lib/grpc/testing/server.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { podResources } from './pod-resources.ts';
import {
  answering,
  GOLDEN_GET,
  GOLDEN_LIST,
  GOLDEN_REQUEST,
  podAnswer,
  refusing,
  serveKubelet,
} from './testing/fake-kubelet.ts';

const WEB = { namespace: 'demo', name: 'web' };
const GET = '/v1.PodResourcesLister/Get';
const LIST = '/v1.PodResourcesLister/List';

const asking = (signal = new AbortController().signal) => ({ ...clockOf(signal), signal });

async function ask(
  socket: string,
  timeoutMs = 20_000,
): Promise<Readonly<Record<string, readonly string[]>> | undefined> {
  const allocation = await podResources(asking(), socket, WEB, timeoutMs);
  return allocation && Object.fromEntries(allocation);
}

const fails = (incoming: Incoming): never => {
  throw new Error(`${incoming.method} was called`);
};

describe('podResources', () => {
  it('asks for the one pod, and reads the bytes that kubelets send', async () => {
    const requests: Buffer[] = [];
    await using kubelet = await serveKubelet({
      get: (incoming) => {
        requests.push(incoming.request);
        answering(GOLDEN_GET)(incoming);
      },
      list: fails,
    });
    expect(await ask(kubelet.socket)).toEqual({
      'intel.com/x': ['0000:01:10.0', '0000:01:10.1', '0000:01:10.2'],
      'intel.com/y': ['0000:02:00.1'],
    });
    expect(requests).toEqual([GOLDEN_REQUEST]);
    expect(kubelet.calls).toEqual([GET]);
  });

  it.each([
    ['does not know how to answer for one', undefined],
    ['has that switched off', refusing(STATUS.unknown, 'PodResources API Get method disabled')],
  ])('asks for all pods where the kubelet %s, and takes that of the same name and namespace', async (_, get) => {
    await using kubelet = await serveKubelet({ ...(get && { get }), list: answering(GOLDEN_LIST) });
    expect(await ask(kubelet.socket)).toEqual({ 'intel.com/x': ['0000:01:10.0'] });
    expect(kubelet.calls).toEqual([GET, LIST]);
  });

  it('finds the pod among a thousand', async () => {
    const others = Array.from({ length: 1000 }, (_, index) =>
      podAnswer({ namespace: 'demo', name: `web-${index}` }, [['intel.com/x', `0000:02:${index}.0`]]),
    );
    await using kubelet = await serveKubelet({ list: answering(Buffer.concat([...others, GOLDEN_LIST])) });
    expect(await ask(kubelet.socket)).toEqual({ 'intel.com/x': ['0000:01:10.0'] });
  });

  it.each([
    ['says so', refusing(STATUS.notFound, 'pod web in namespace demo not found')],
    ['says so without a status of its own', refusing(STATUS.unknown, 'pod web in namespace demo not found')],
    ['has an empty answer', answering(Buffer.alloc(0))],
    ['answers for another', answering(podAnswer({ namespace: 'other', name: 'web' }, [['intel.com/x', 'a']]))],
  ])('says when the kubelet does not know the pod and %s', async (_, get) => {
    await using kubelet = await serveKubelet({ get, list: fails });
    expect(await ask(kubelet.socket)).toBeUndefined();
  });

  it('says when the pod is not in the list of all', async () => {
    await using kubelet = await serveKubelet({ list: answering(Buffer.alloc(0)) });
    expect(await ask(kubelet.socket)).toBeUndefined();
  });

  it('has no devices for a pod that has none', async () => {
    await using kubelet = await serveKubelet({ get: answering(podAnswer(WEB, [])) });
    expect(await ask(kubelet.socket)).toEqual({});
  });

  it('asks again when the kubelet has too much to do', async () => {
    let refusals = 3;
    await using kubelet = await serveKubelet({
      get: (incoming) => {
        refusals -= 1;
        const isBusy = refusals >= 0;
        (isBusy ? refusing(STATUS.resourceExhausted, 'rejected by rate limit') : answering(GOLDEN_GET))(incoming);
      },
    });
    expect(await ask(kubelet.socket)).toHaveProperty('intel.com/x');
    expect(kubelet.calls).toEqual([GET, GET, GET, GET]);
  });

  it('asks again when the kubelet is started anew meanwhile', async () => {
    using folder = temporaryFolder();
    const socket = join(folder.path, 'kubelet.sock');
    const old = await serveRaw(() => undefined);
    renameSync(old.socket, socket);
    await old[Symbol.asyncDispose](); // its socket stays, and refuses
    const asked = ask(socket);
    await new Promise((resolve) => setTimeout(resolve, 50));
    renameSync(socket, join(folder.path, 'old'));
    await using _kubelet = await serveKubelet({ get: answering(GOLDEN_GET) }, socket);
    expect(await asked).toHaveProperty('intel.com/y');
  });

  it('gives up, saying why, after its time', async () => {
    await using busy = await serveKubelet({ get: refusing(STATUS.resourceExhausted, 'rejected by rate limit') });
    await expect(ask(busy.socket, 1100)).rejects.toThrow(
      `cannot call ${GET} of "${busy.socket}": rejected by rate limit (gRPC status 8)`,
    );
    await using late = await serveKubelet({ get: () => undefined });
    await expect(ask(late.socket, 100)).rejects.toThrow(/: no answer within \d+ ms$/);
    expect(late.calls).toEqual([GET]);
  });

  it('says what a kubelet refuses for reasons of its own', async () => {
    await using kubelet = await serveKubelet({ get: refusing(STATUS.internal, 'oh'), list: fails });
    await expect(ask(kubelet.socket)).rejects.toThrow(GrpcError);
    await using both = await serveKubelet({
      get: refusing(STATUS.unknown, 'oh'),
      list: refusing(STATUS.unknown, 'no, no'),
    });
    await expect(ask(both.socket)).rejects.toThrow(`cannot call ${LIST} of "${both.socket}": no, no (gRPC status 2)`);
  });

  it.each([
    ['garbage', Buffer.from('0a05ffffffffff', 'hex')],
    ['half of a message', GOLDEN_GET.subarray(0, 100)],
    ['a nested message that is cut', Buffer.from('0a021a05', 'hex')],
  ])('refuses %s', async (_, message) => {
    await using kubelet = await serveKubelet({ get: answering(message), list: fails });
    await expect(ask(kubelet.socket)).rejects.toThrow(`cannot read the answer to ${GET} of "${kubelet.socket}": `);
  });

  it('refuses an answer that is cut, and one that is longer than 16 MiB', async () => {
    const longest = 16 * 1024 * 1024;
    await using cut = await serveKubelet({
      get: ({ stream }) => answerRaw(stream, prefixed(GOLDEN_GET).subarray(0, 50)),
    });
    await expect(ask(cut.socket)).rejects.toThrow('half an answer: 45 bytes instead of 211');
    await using large = await serveKubelet({ list: answering(Buffer.alloc(longest + 1)) });
    await expect(ask(large.socket)).rejects.toThrow(`the answer is longer than ${longest} bytes`);
  });

  it('tells that something else listens there', async () => {
    await using other = await serveRaw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await expect(ask(other.socket)).rejects.toThrow('what it says is not HTTP/2');
  });

  it('ends with the signal, also between two tries', async () => {
    const ending = new AbortController();
    await using kubelet = await serveKubelet({
      get: (incoming) => {
        refusing(STATUS.resourceExhausted, 'rejected by rate limit')(incoming);
        ending.abort(new Error('nobody waits'));
      },
    });
    await expect(podResources(asking(ending.signal), kubelet.socket, WEB)).rejects.toThrow('nobody waits');
  });

  it.each([
    { namespace: '', name: 'web' },
    { namespace: 'demo', name: '' },
  ])('does not ask for %o', async (pod) => {
    await expect(podResources(asking(), '/nowhere', pod)).rejects.toThrow('the pod has no name or no namespace');
  });
});
