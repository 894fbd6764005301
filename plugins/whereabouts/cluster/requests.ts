import { CniError, messageOf, withPrefix } from '../../../lib/cni/errors.ts';
import { ApiError, type DeletePreconditions, type JsonPatch, type KubeApi } from '../../../lib/kube/api.ts';
import { faultOf, isTooLarge, isTransient } from '../../../lib/kube/faults.ts';
import { type Caller, OutcomeUnknown } from '../engine.ts';
import { POOL_TOO_LARGE, poolTooLarge } from './faults.ts';
import {
  type IpPool,
  type IpReservation,
  type NodeSlicePool,
  poolAt,
  poolObject,
  poolsIn,
  reservationAt,
  reservationObject,
  reservationsIn,
  slicePoolAt,
} from './objects.ts';

const [NOT_FOUND, CONFLICT, INVALID] = [404, 409, 422];
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 1000;

/** How long a transaction waits for a server that is slow, busy or away. */
export interface Patience {
  /** by the caller's clock */
  readonly deadline: number;
  /** without any answer at all */
  readonly silenceMs: number;
}

/** How a patch ended; `refusal` is what the server said of the one that it did not carry out. */
export type Patched = 'done' | 'missing' | { readonly refusal: string };

/**
 * What a transaction asks the server for. What may work a moment later is asked again until its patience ends; a change
 * of which nobody knows whether it was made is asked again only where that can do no harm.
 *
 * All methods throw CniError tryAgainLater, internal; and what ends the call.
 */
export class Requests {
  private readonly api: KubeApi;
  private readonly caller: Caller;
  private readonly patience: Patience;
  private answeredAt: number;

  constructor(api: KubeApi, caller: Caller, patience: Patience) {
    this.api = api;
    this.caller = caller;
    this.patience = patience;
    this.answeredAt = caller.now();
  }

  readPool(name: string): Promise<IpPool | undefined> {
    return this.found(GO_WORDS.getPool, () => this.api.get<IpPool>(poolAt(this.api.namespace, name)));
  }

  readSlicePool(name: string): Promise<NodeSlicePool | undefined> {
    return this.found(GO_WORDS.getPool, () => this.api.get<NodeSlicePool>(slicePoolAt(this.api.namespace, name)));
  }

  listPools(): Promise<readonly IpPool[]> {
    return this.always(() => this.api.list<IpPool>(poolsIn(this.api.namespace)));
  }

  /**
   * @returns false when there is one by now
   * @throws OutcomeUnknown
   */
  createPool(name: string, spec: IpPool['spec']): Promise<boolean> {
    const { namespace } = this.api;
    return this.changing(GO_WORDS.createPool, async () => {
      try {
        await this.once(() => this.api.create(poolsIn(namespace), poolObject(namespace, name, spec)));
        return true;
      } catch (error) {
        return statusOf(error) === CONFLICT ? false : raise(error);
      }
    });
  }

  /**
   * @param entries of the pool, for a message
   * @throws OutcomeUnknown, CniError of code 100 when the object would be too large
   */
  patchPool(name: string, body: JsonPatch, entries: number): Promise<Patched> {
    const path = poolAt(this.api.namespace, name);
    return this.changing(GO_WORDS.patchPool, async () => {
      try {
        await this.once(() => this.api.patch<IpPool>(path, { type: 'json', body, isAnswerBrief: true }), [CONFLICT]);
        return 'done';
      } catch (error) {
        if (error instanceof ApiError && isTooLarge(error)) {
          throw poolTooLarge(name, entries, error);
        }
        switch (statusOf(error)) {
          case NOT_FOUND:
            return 'missing';
          case INVALID:
            return { refusal: messageOf(error) };
          default:
            throw error;
        }
      }
    });
  }

  readReservation(name: string): Promise<IpReservation | undefined> {
    const path = reservationAt(this.api.namespace, name);
    return this.found(GO_WORDS.getReservation, () => this.api.get<IpReservation>(path));
  }

  listReservations(): Promise<readonly IpReservation[]> {
    return this.always(() => this.api.list<IpReservation>(reservationsIn(this.api.namespace)));
  }

  /**
   * Asked again when nobody knows: the name is there once.
   *
   * @returns `exists`, or `unknown` when it may be the one of an earlier request of this very call
   */
  createReservation(
    name: string,
    claimant: string,
    spec: IpReservation['spec'],
  ): Promise<IpReservation | 'exists' | 'unknown'> {
    const { namespace } = this.api;
    const object = reservationObject(namespace, name, claimant, spec);
    let isFirst = true;
    return this.always(async () => {
      const exists = isFirst ? 'exists' : 'unknown';
      isFirst = false;
      try {
        return await this.api.create(reservationsIn(namespace), object);
      } catch (error) {
        return statusOf(error) === CONFLICT ? exists : raise(error);
      }
    });
  }

  /** Asked again when nobody knows: its tests see what was done. @returns undefined when it has changed */
  patchReservation(name: string, body: JsonPatch): Promise<IpReservation | undefined> {
    const path = reservationAt(this.api.namespace, name);
    return this.always(async () => {
      try {
        return await this.api.patch<IpReservation>(path, { type: 'json', body });
      } catch (error) {
        return [NOT_FOUND, CONFLICT, INVALID].includes(statusOf(error) ?? 0) ? undefined : raise(error);
      }
    });
  }

  /** Asked again when nobody knows: only this very object goes. @returns false when it has changed */
  deleteReservation(name: string, preconditions: DeletePreconditions): Promise<boolean> {
    const path = reservationAt(this.api.namespace, name);
    return this.always(async () => {
      try {
        await this.api.delete(path, preconditions);
        return true;
      } catch (error) {
        const status = statusOf(error);
        return status === NOT_FOUND ? true : status === CONFLICT ? false : raise(error);
      }
    });
  }

  /** @param words that precede what the server says */
  private async found<T>(words: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await this.always(async () => {
        try {
          return await work();
        } catch (error) {
          return statusOf(error) === NOT_FOUND ? undefined : raise(error);
        }
      });
    } catch (error) {
      throw withWords(words, error);
    }
  }

  private async always<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.repeat(work, isTransient);
    } catch (error) {
      throw faultOf(error);
    }
  }

  private async changing<T>(words: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ApiError && error.isOutcomeUnknown && !isTooLarge(error)) {
        throw new OutcomeUnknown(messageOf(error), { cause: error });
      }
      throw withWords(words, faultOf(error));
    }
  }

  /** Asked again only when it was certainly not carried out. */
  private once<T>(work: () => Promise<T>, also: readonly number[] = []): Promise<T> {
    const isRefused = (error: ApiError) => isTransient(error) || also.includes(error.status ?? 0);
    return this.repeat(work, (error) => !error.isOutcomeUnknown && isRefused(error));
  }

  private async repeat<T>(work: () => Promise<T>, mayRepeat: (error: ApiError) => boolean): Promise<T> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const answer = await work();
        this.answeredAt = this.caller.now();
        return answer;
      } catch (error) {
        if (!(error instanceof ApiError) || !mayRepeat(error) || !this.mayWait(error)) {
          throw error;
        }
        await this.caller.sleep(Math.max(error.retryAfterMs ?? 0, Math.ceil(Math.random() * pauseMs)));
      }
    }
  }

  private mayWait({ status, retryAfterMs = 0 }: ApiError): boolean {
    const now = this.caller.now();
    if (status !== undefined) {
      this.answeredAt = now;
    }
    return now + retryAfterMs < this.patience.deadline && now - this.answeredAt < this.patience.silenceMs;
  }
}

/** The Go plugin's, by which other software knows what failed. */
const GO_WORDS = {
  getPool: 'k8s get error',
  createPool: 'k8s create error',
  patchPool: '',
  getReservation: 'k8s get OverlappingRangeIPReservation error',
} as const;

const withWords = (words: string, error: unknown): unknown =>
  error instanceof CniError && error.code !== POOL_TOO_LARGE && words !== '' ? withPrefix(words, error) : error;

const statusOf = (error: unknown): number | undefined => (error instanceof ApiError ? error.status : undefined);

function raise(error: unknown): never {
  throw error;
}
