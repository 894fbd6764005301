import { sameIp } from '../../../lib/net/ip.ts';
import { type Caller, isReserving, type Step } from '../engine.ts';
import { reservationName } from '../names.ts';
import { type Held, isOf } from '../pool.ts';
import type { Claim, Freed } from './claims.ts';
import type { Findings } from './cluster-pools.ts';
import { Foreign } from './foreign.ts';
import type { Deleted, JournalRow } from './journal.ts';
import type { Diff } from './patch.ts';
import { NOTHING_RECENT, type Recents } from './recent.ts';
import type { Patience } from './requests.ts';
import type { StoredPool } from './stored-pool.ts';

/** A reservation that this transaction has added to a pool, or may have. */
export interface Made {
  readonly networkName: string;
  readonly pool: string;
  readonly held: Held;
}

/** A patch that the server has refused, without a reason. */
export interface Refused {
  readonly pool: StoredPool;
  readonly diffs: readonly Diff[];
  readonly refusal: string;
}

const LONGEST_MS = { release: 30_000, other: 60_000 };
/** A release can be finished later, see the journal; who reserves waits for a server that is started anew. */
const SILENCE_MS = { release: 3_000, other: 30_000 };
/** … which the next release need not find out again. */
const SHORT_SILENCE_MS = 300;

export function patienceFor(
  kind: keyof typeof LONGEST_MS,
  { now }: Pick<Caller, 'now'>,
  recents: Recents = NOTHING_RECENT,
): Patience {
  const isShort = kind === 'release' && recents('silent').isRecent();
  return { deadline: now() + LONGEST_MS[kind], silenceMs: isShort ? SHORT_SILENCE_MS : SILENCE_MS[kind] };
}

/** What a transaction has done and found out, from its first try to its last. */
export class Progress {
  readonly patience: Patience;
  /** by name of the reservation */
  readonly claims = new Map<string, Claim>();
  made: readonly Made[] = [];
  /** by name of the reservation: pools have given these addresses back, or may have */
  readonly freed = new Map<string, Freed>();
  /** What the journal has been told beforehand. */
  readonly intended: JournalRow[] = [];
  /** What had been deleted of the owners, as the first try began. */
  deletions: ReadonlyMap<string, Deleted> = new Map();
  /** by name of the pool: what the next look at it must explain */
  readonly refused = new Map<string, Refused>();
  /** in a row, by pool */
  readonly unexplained = new Map<string, number>();
  /** What this node remembers was wrong once: pools are read now. */
  isDistrustful = false;
  /** The outcome of a change was unknown once: it may come true later. */
  isUnsure = false;
  readonly foreign: Foreign;
  private readonly wanted: number;

  constructor(steps: readonly Step[], caller: Caller, recents: Recents) {
    this.foreign = new Foreign({ contended: recents('contended').isRecent(), besideGo: recents('go').isRecent() });
    this.wanted = steps.filter(isReserving).length;
    this.patience = patienceFor(steps.every(({ isRelease }) => isRelease) ? 'release' : 'other', caller, recents);
  }

  /** What was held may have been released since, with its reservation. */
  forgetFound(): void {
    for (const { name } of [...this.claims.values()].filter(({ origin }) => origin === 'found')) {
      this.claims.delete(name);
    }
  }

  findingsOf(networkName: string): Findings {
    const claims = (): readonly Claim[] => [...this.claims.values()].filter((one) => one.networkName === networkName);
    return {
      spread: this.foreign.spread(this.wanted),
      left: this.foreign.left,
      mayChange: () => this.foreign.hope(),
      holderOf: (ip) => {
        const holder = this.foreign.get(reservationName(networkName, ip));
        return holder && { range: '', ip, entry: { id: '', podref: holder.podref, ifname: holder.ifname } };
      },
      claimedBy: (attachment) => claims().flatMap((one) => (isOf(attachment)(one.entry) ? [one.ip] : [])),
      isClaimed: (ip, besides) => claims().some((one) => sameIp(one.ip, ip) && !isOf(besides)(one.entry)),
    };
  }
}
