import type { Places } from '../sys/places.ts';
import type { Caller } from './caller.ts';
import { HEADER_BYTES, MalformedRequest, type Request, readBody, readHeader } from './frame.ts';

/** How long a launcher may take to send its request, and to take its answer: it has both in memory. */
export const SEND_MS = 10_000;

/** Nearly all requests are smaller, and there at once. */
export const CHUNK = 64 * 1024;

/** A request and what it holds until its call has ended. */
export interface Received extends Disposable {
  readonly request: Request;
}

/** Where requests are read into first, for all callers. */
export const makeChunk = (): Buffer => Buffer.allocUnsafeSlow(CHUNK);

/**
 * Reads one request. Memory is taken when its length is known: a large one waits for one of a few places first.
 *
 * @param chunk for all callers together
 * @returns undefined when the caller ends without having sent anything
 * @throws MalformedRequest; what `Caller.read` throws
 */
export async function receiveRequest(caller: Caller, chunk: Buffer, large: Places): Promise<Received | undefined> {
  caller.limit(SEND_MS);
  let begun: Buffer = Buffer.alloc(0);
  while (begun.length < HEADER_BYTES) {
    const more = await caller.read(chunk);
    if (more.length === 0 && begun.length === 0) {
      return undefined;
    }
    begun = begun.length === 0 ? more : Buffer.concat([begun, some(more)]);
  }
  const header = readHeader(begun);
  const size = header.words + header.stdin;
  const part = begun.subarray(HEADER_BYTES);
  if (part.length > size || caller.descriptor >= 0 !== header.hasDescriptor) {
    throw new MalformedRequest('a request has more or less than it says');
  }
  const place = size > CHUNK ? await placeIn(large, caller) : undefined;
  try {
    const body = part.length === size ? part : await receiveRest(caller, chunk, part, size);
    return { request: readBody(header, body), [Symbol.dispose]: () => place?.[Symbol.dispose]() };
  } catch (error) {
    place?.[Symbol.dispose]();
    throw error;
  }
}

/** It is not the caller who takes so long. */
async function placeIn(large: Places, caller: Caller): Promise<Disposable> {
  caller.limit(undefined);
  const place = await large.take();
  caller.limit(SEND_MS);
  return place;
}

async function receiveRest(caller: Caller, chunk: Buffer, part: Buffer, size: number): Promise<Buffer> {
  const body = Buffer.allocUnsafeSlow(size);
  for (let at = part.copy(body); at < size; ) {
    const more = some(await caller.read(chunk.subarray(0, size - at)));
    at += more.copy(body, at);
  }
  return body;
}

function some(bytes: Buffer): Buffer {
  if (bytes.length === 0) {
    throw new MalformedRequest('a request ends before its end');
  }
  return bytes;
}
