/** Keeps a resource known to the node's kubelet, whatever either of them goes through. */
import { messageOf } from '../../cni/errors.ts';
import type { Clock } from '../../sys/clock.ts';
import { fullName } from '../names.ts';
import { NO_REPORT, type OfferReport } from '../report.ts';
import type { Resource } from '../resource.ts';
import { foldersOf, type Kubelet, traced, tracesOf, watchFolder } from './folders.ts';
import { register } from './register.ts';
import { ResourceServer } from './server.ts';
import { standBy } from './stand-by.ts';

export interface Offering extends Clock {
  readonly signal: AbortSignal;
  /** how long a kubelet may take to follow what it has registered; default 10 s */
  readonly followMs?: number;
  /** after the first failure, doubled with each one more; default half a second */
  readonly pauseMs?: number;
  log(line: string): void;
  /** who counts */
  readonly report?: OfferReport;
  /** called when another program has taken the socket */
  succeeded?(): void;
  /** called when a kubelet begins to follow: what containers have may be another story by then */
  followed?(): void;
}

/** How it ended: for good, or another program has the socket. */
export type OfferEnd = 'ended' | 'succeeded';

const FOLLOW_MS = 10_000;
/** A kubelet that has lost the stream of one that followed never asks again by itself. */
const LOST_MS = 1_000;
/**
 * The kubelet of v1.36 ends a new registration when it loses the stream of the one before: that goes first. Where it watches
 * its folder it ends that stream by itself before it registers the next; else the next one waits until the one before has
 * left, and then so long for the kubelet to have seen it.
 */
const LEAVE_MS = 5_000;
const SUCCEED_MS = 300;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Offers a resource until the signal fires. It is offered anew when its socket has gone, when the kubelet has been started
 * again, and when nobody follows it: a kubelet that has lost the stream never asks again by itself. Meanwhile the socket
 * stays where it is, as a kubelet may find it any time. While another program has its socket, as the next version of this
 * one, it stands by.
 */
export async function offer(resource: Resource, kubelet: Kubelet, offering: Offering): Promise<OfferEnd> {
  const { signal, log } = offering;
  const name = fullName(resource.name);
  await using place = new Place(resource, offering);
  for (let failures = 0; !signal.aborted; ) {
    const traces = tracesOf(kubelet);
    const pauseMs = pauseOf(failures, offering);
    try {
      const { hasFollowed, successor } = await offerOnce({ resource, kubelet, offering, place, pauseMs });
      failures = hasFollowed ? 0 : failures + 1;
      if (successor !== undefined) {
        log(`${name}: another program offers it`);
        offering.succeeded?.();
        await place.leave();
        if (await standBy(successor, signal)) {
          return 'succeeded';
        }
        failures = 0;
      }
    } catch (error) {
      failures++;
      if (!signal.aborted) {
        log(`${name}: cannot be offered: ${messageOf(error)}`);
        await traced(kubelet, traces, { ms: pauseOf(failures, offering), signal });
      }
    }
  }
  return 'ended';
}

function pauseOf(failures: number, { pauseMs = FIRST_PAUSE_MS }: Offering): number {
  return failures === 0 ? 0 : Math.min(pauseMs * 2 ** (failures - 1), Math.max(pauseMs, LONGEST_PAUSE_MS));
}

interface Attempt {
  readonly resource: Resource;
  readonly kubelet: Kubelet;
  readonly offering: Offering;
  readonly place: Place;
  /** how much longer a kubelet may take to find it, as others have found nothing before */
  readonly pauseMs: number;
}

interface Offered {
  /** whether a kubelet has followed it */
  readonly hasFollowed: boolean;
  /** socket that another program has in its place */
  readonly successor: string | undefined;
}

async function offerOnce({ resource, kubelet, offering, place, pauseMs }: Attempt): Promise<Offered> {
  const { signal, log, followMs = FOLLOW_MS, report = NO_REPORT } = offering;
  const name = fullName(resource.name);
  const { folder, isWatched, kubeletSocket } = foldersOf(kubelet);
  const server = await place.take(folder);
  if (!isWatched) {
    if (server.predecessor !== undefined) {
      await server.predecessor.left(LEAVE_MS, signal);
      await offering.sleep(SUCCEED_MS);
    }
    await register(kubeletSocket, name, server.path).catch((error: unknown) => {
      report.registered(name, false);
      throw error;
    });
    report.registered(name, true);
    log(`${name}: registered`);
  }
  let followers = 0;
  let hasFollowed = false;
  const ended = Promise.withResolvers<void>();
  let patience: NodeJS.Timeout | undefined;
  let leaving: NodeJS.Timeout | undefined;
  const isLeft = (): boolean => !server.isThere() && !(isWatched && followers > 0 && server.isReplaced());
  const look = (): void => {
    hasFollowed ||= server.followers.value > 0;
    if (server.followers.value > followers) {
      offering.followed?.();
    }
    followers = server.followers.value;
    report.followed(name, followers);
    clearTimeout(patience);
    if (signal.aborted || isLeft()) {
      ended.resolve();
    } else if (!server.isThere()) {
      leaving ??= setTimeout(ended.resolve, LEAVE_MS);
    } else if (followers === 0) {
      patience = setTimeout(ended.resolve, hasFollowed ? Math.min(LOST_MS, followMs) : followMs + pauseMs);
    }
  };
  using _ = server.followers.follow(look);
  const watcher = watchFolder(folder, look);
  signal.addEventListener('abort', look, { once: true });
  try {
    look();
    await ended.promise;
  } finally {
    clearTimeout(patience);
    clearTimeout(leaving);
    report.followed(name, 0);
    signal.removeEventListener('abort', look);
    watcher.close();
  }
  return { hasFollowed, successor: server.isReplaced() ? server.path : undefined };
}

/** Where a resource is served: each server takes the socket of the one before, in one step. */
class Place implements AsyncDisposable {
  private readonly resource: Resource;
  private readonly offering: Offering;
  private server: ResourceServer | undefined;

  constructor(resource: Resource, offering: Offering) {
    this.resource = resource;
    this.offering = offering;
  }

  /** @throws Error */
  async take(folder: string): Promise<ResourceServer> {
    const { resource, server: before } = this;
    const { log, report = NO_REPORT } = this.offering;
    before?.endStreams();
    this.server = await ResourceServer.listen({ resource, folder, log, report, ...(before && { before }) });
    await before?.[Symbol.asyncDispose]();
    return this.server;
  }

  async leave(): Promise<void> {
    await this.server?.[Symbol.asyncDispose]();
    this.server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}
