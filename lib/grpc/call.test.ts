import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { callGrpc, type GrpcCall, GrpcError, STATUS } from './call.ts';
import { prefixed } from './framing.ts';
import { answer, answerRaw, refuse, serveGrpc, serveRaw } from './testing/server.ts';

const METHOD = '/a.B/C';

const call = (socket: string, more: Partial<GrpcCall> = {}): Promise<Buffer> =>
  callGrpc({ socket, method: METHOD, request: Buffer.from('question'), timeoutMs: 20_000, ...more });

/** What a call fails with. */
async function failureOf(work: Promise<unknown>): Promise<GrpcError> {
  const error = await work.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GrpcError);
  return error as GrpcError;
}

describe('callGrpc', () => {
  it('sends the message and gives the answer', async () => {
    await using server = await serveGrpc((incoming) => {
      answer(incoming, Buffer.concat([Buffer.from('you said '), incoming.request]));
    });
    expect((await call(server.socket)).toString()).toBe('you said question');
    expect(server.calls).toEqual([METHOD]);
  });

  it('takes an answer of many megabytes, and an empty one', async () => {
    const large = Buffer.alloc(15 * 1024 * 1024, 'x');
    await using server = await serveGrpc((incoming) => {
      answer(incoming, incoming.request.length === 0 ? Buffer.alloc(0) : large);
    });
    expect((await call(server.socket)).equals(large)).toBe(true);
    expect(await call(server.socket, { request: Buffer.alloc(0) })).toHaveLength(0);
  });

  it('refuses an answer that is longer than the limit', async () => {
    await using server = await serveGrpc((incoming) => answer(incoming, Buffer.alloc(101)));
    expect((await failureOf(call(server.socket, { longest: 100 }))).message).toBe(
      `cannot call ${METHOD} of "${server.socket}": the answer is longer than 100 bytes`,
    );
    expect(await call(server.socket, { longest: 101 })).toHaveLength(101);
  });

  it('gives status and words of a server that refuses, also when they are malformed', async () => {
    await using server = await serveGrpc((incoming) => {
      if (incoming.request.length === 0) {
        incoming.stream.respond({ ':status': 200, 'grpc-status': '2', 'grpc-message': '100%zz' }, { endStream: true });
      } else {
        refuse(incoming, STATUS.notFound, 'no such “pod”');
      }
    });
    const refused = await failureOf(call(server.socket));
    expect([refused.code, refused.status, refused.said]).toEqual([999, STATUS.notFound, 'no such “pod”']);
    expect(refused.message).toBe(`cannot call ${METHOD} of "${server.socket}": no such “pod” (gRPC status 5)`);
    expect((await failureOf(call(server.socket, { request: Buffer.alloc(0) }))).said).toBe('100%zz');
  });

  it('finds the status of a server that says something first', async () => {
    await using server = await serveGrpc(({ stream }) =>
      answerRaw(stream, prefixed(Buffer.from('half')), { 'grpc-status': '13', 'grpc-message': 'oh' }),
    );
    expect(await failureOf(call(server.socket))).toMatchObject({ status: 13, said: 'oh' });
  });

  it.each([
    ['half of a message', prefixed(Buffer.from('whole')).subarray(0, 7), 'half an answer: 2 bytes instead of 5'],
    ['less than a length', Buffer.from([0, 0]), 'half an answer: 2 bytes'],
    ['nothing', Buffer.alloc(0), 'half an answer: 0 bytes'],
    ['two messages', Buffer.concat([prefixed(Buffer.from('a')), prefixed(Buffer.from('b'))]), 'more than one answer'],
    ['a compressed message', Buffer.from([1, 0, 0, 0, 0]), 'the answer is compressed'],
  ])('refuses %s', async (_, body, why) => {
    await using server = await serveGrpc(({ stream }) => answerRaw(stream, body));
    const failure = await failureOf(call(server.socket));
    expect(failure.status).toBe(STATUS.internal);
    expect(failure.message).toContain(why);
  });

  it('tells a server that speaks no gRPC', async () => {
    await using server = await serveGrpc(({ stream }) => {
      stream.respond({ ':status': 404 });
      stream.end('not found');
    });
    const failure = await failureOf(call(server.socket));
    expect(failure.status).toBe(STATUS.internal);
    expect(failure.message).toMatch(/: what it says is not gRPC: HTTP status 404$/);
  });

  it('tells what is not HTTP/2', async () => {
    await using server = await serveRaw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const failure = await failureOf(call(server.socket));
    expect([failure.status, failure.message]).toEqual([
      STATUS.internal,
      expect.stringContaining(': what it says is not HTTP/2: '),
    ]);
  });

  it('tells a connection that breaks: before the answer, and in the middle of it', async () => {
    await using deaf = await serveRaw((socket) => socket.destroy());
    expect(await failureOf(call(deaf.socket))).toMatchObject({ status: STATUS.unavailable });
    await using server = await serveGrpc(({ stream }) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write(prefixed(Buffer.alloc(1000)).subarray(0, 500), () => stream.session?.destroy());
    });
    expect(await failureOf(call(server.socket))).toMatchObject({ status: STATUS.unavailable });
  });

  it('tells where nobody listens, and where nothing is', async () => {
    using folder = temporaryFolder();
    const stale = join(folder.path, 'stale');
    const server = await serveRaw(() => undefined);
    renameSync(server.socket, stale);
    await server[Symbol.asyncDispose]();
    const [missing, refused] = [await failureOf(call(server.socket)), await failureOf(call(stale))];
    expect([missing.status, refused.status]).toEqual([STATUS.unavailable, STATUS.unavailable]);
    expect(missing.message).toBe(`cannot call ${METHOD} of "${server.socket}": connect ENOENT ${server.socket}`);
    expect(refused.message).toContain('ECONNREFUSED');
  });

  it('waits no longer than it is told', async () => {
    await using server = await serveGrpc(() => undefined);
    expect(await failureOf(call(server.socket, { timeoutMs: 50 }))).toMatchObject({
      status: STATUS.deadlineExceeded,
      message: `cannot call ${METHOD} of "${server.socket}": no answer within 50 ms`,
    });
    await using mute = await serveRaw(() => undefined);
    expect(await failureOf(call(mute.socket, { timeoutMs: 50 }))).toMatchObject({ status: STATUS.deadlineExceeded });
  });

  it('ends with the signal of the call', async () => {
    const [aborted, ending] = [new AbortController(), new AbortController()];
    await using server = await serveGrpc(() => ending.abort(new Error('nobody waits')));
    aborted.abort(new Error('too late'));
    await expect(call(server.socket, { signal: aborted.signal })).rejects.toThrow('too late');
    expect(server.calls).toEqual([]);
    await expect(call(server.socket, { signal: ending.signal })).rejects.toThrow('nobody waits');
  });
});
