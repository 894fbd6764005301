import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { ApiError, type KubeApi } from '../../../lib/kube/api.ts';
import { faultOf, isTransient } from '../../../lib/kube/faults.ts';
import type { Caller } from '../engine.ts';
import { JITTER, type LeaseTiming } from '../place.ts';
import { changeLease, createLease, type LeaseObject, type LeaseSpec, microTime, readLease } from './lease-object.ts';
import type { Patience } from './requests.ts';

export interface LeaseParts {
  readonly api: KubeApi;
  readonly name: string;
  /** of this call, and of no other */
  readonly identity: string;
  readonly timing: LeaseTiming;
  readonly caller: Pick<Caller, 'now' | 'sleep'>;
  /** ms since 1970; others look at their own clocks only */
  readonly wallClock: () => number;
  readonly random: () => number;
}

const SECOND_MS = 1000;

/** It is a number of 32 bits. */
const MOST_TRANSITIONS = 2 ** 31;

/** A Lease has whole seconds: what is beyond is cut off. */
const secondsOf = ({ durationMs }: LeaseTiming): number => Math.floor(durationMs / SECOND_MS);

/**
 * One Lease object, by the rules of client-go, which the Go plugin obeys: whoever has not been seen to renew it for its
 * duration, by the clock of who looks, has lost it. Every change is refused when somebody else was faster.
 */
export class Lease {
  private readonly parts: LeaseParts;
  /** as it was seen last, and since when it looks like that */
  private seen: { readonly text: string; readonly since: number } = { text: '', since: 0 };
  /** as it was written last; undefined: it is not held */
  private held: { readonly version: string; readonly spec: LeaseSpec; readonly renewedAt: number } | undefined;
  private renewing: Promise<void> | undefined;

  constructor(parts: LeaseParts) {
    this.parts = parts;
  }

  /**
   * Waits until nobody else holds it.
   *
   * @throws CniError tryAgainLater when it was held for so long, or nobody answers; internal
   */
  async acquire({ deadline, silenceMs }: Patience): Promise<void> {
    const { caller, name, timing, random } = this.parts;
    let answeredAt = caller.now();
    for (;;) {
      let why: string;
      try {
        if (await this.isAcquired()) {
          return;
        }
        answeredAt = caller.now();
        why = `${this.holder()} has it`;
      } catch (error) {
        answeredAt = error instanceof ApiError && error.status !== undefined ? caller.now() : answeredAt;
        if (!(error instanceof ApiError) || !isTransient(error) || caller.now() - answeredAt >= silenceMs) {
          throw faultOf(error);
        }
        why = messageOf(error);
      }
      const left = deadline - caller.now();
      if (left <= 0) {
        const text = `cannot take lease "${name}": time limit exceeded while waiting to become leader: ${why}`;
        throw new CniError('tryAgainLater', text);
      }
      await caller.sleep(Math.min(left, Math.ceil(timing.retryMs * (1 + JITTER * random()))));
    }
  }

  /** Renews it, unless that was just done: who holds it calls this once in each `retryMs`. Never throws. */
  async keep(): Promise<void> {
    if (this.held !== undefined && this.age() >= this.parts.timing.retryMs / 2) {
      await this.renew().catch(() => undefined); // as long as it is good, the next time may do
    }
  }

  /** @throws CniError tryAgainLater when it is not held any more */
  async confirm(): Promise<void> {
    const { name, timing } = this.parts;
    if (this.held !== undefined && this.age() < Math.min(timing.renewMs, secondsOf(timing) * SECOND_MS)) {
      return;
    }
    let why: string | undefined;
    try {
      await this.renew();
    } catch (error) {
      this.held = undefined;
      why = messageOf(error);
    }
    if (this.held === undefined) {
      throw new CniError('tryAgainLater', `cannot go on: lease "${name}" is lost: ${why ?? `${this.holder()} has it`}`);
    }
  }

  /** Leaves it to others. One that cannot be left now is theirs when its time is over. */
  async release(): Promise<void> {
    await this.renewing?.catch(() => undefined);
    const { held } = this;
    this.held = undefined;
    if (held !== undefined) {
      const now = this.time();
      const { leaseTransitions = 0 } = held.spec;
      const spec = { leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaseTransitions };
      await this.write(held.version, spec).catch(() => undefined);
    }
  }

  private async isAcquired(): Promise<boolean> {
    const { api, name, identity } = this.parts;
    const before = await readLease(api, name);
    if (before === undefined) {
      const spec = { ...this.own({}), leaseTransitions: 0 };
      const started = this.parts.caller.now();
      const created = await createLease(api, name, spec);
      return this.hold(created, spec, started);
    }
    const { spec = {} } = before;
    if (spec.holderIdentity !== identity && !this.isOver(spec)) {
      return false;
    }
    const started = this.parts.caller.now();
    const next = this.own(spec);
    return this.hold(await this.write(before.metadata.resourceVersion ?? '', next), next, started);
  }

  private hold(written: LeaseObject | undefined, spec: LeaseSpec, renewedAt: number): boolean {
    this.held =
      written === undefined ? undefined : { version: written.metadata.resourceVersion ?? '', spec, renewedAt };
    return this.held !== undefined;
  }

  /** Is it nobody's, or has its holder not been seen to renew it in time? */
  private isOver(spec: LeaseSpec): boolean {
    const { caller, timing } = this.parts;
    const text = JSON.stringify(spec);
    if (this.seen.text !== text) {
      this.seen = { text, since: caller.now() };
    }
    const { holderIdentity = '', leaseDurationSeconds = timing.durationMs / SECOND_MS } = spec;
    return holderIdentity === '' || caller.now() - this.seen.since >= leaseDurationSeconds * SECOND_MS;
  }

  private renew(): Promise<void> {
    this.renewing ??= this.renewOnce().finally(() => {
      this.renewing = undefined;
    });
    return this.renewing;
  }

  /** @throws ApiError when nobody knows whether it is still held */
  private async renewOnce(): Promise<void> {
    const { held } = this;
    if (held === undefined) {
      return;
    }
    const started = this.parts.caller.now();
    const spec = { ...held.spec, renewTime: this.time() };
    const written = await this.write(held.version, spec);
    if (this.hold(written, spec, started)) {
      return;
    }
    // Somebody has changed it: another holder, or an answer was lost, or it has got a label.
    const now = await readLease(this.parts.api, this.parts.name);
    const current = now?.spec;
    if (now !== undefined && current?.holderIdentity === this.parts.identity) {
      this.hold(await this.write(now.metadata.resourceVersion ?? '', spec), spec, started);
    } else if (current !== undefined) {
      this.isOver(current); // so that it is known who has it
    }
  }

  private write(version: string, spec: LeaseSpec): Promise<LeaseObject | undefined> {
    return changeLease(this.parts.api, this.parts.name, version, spec);
  }

  private own({ holderIdentity, acquireTime, leaseTransitions = 0 }: LeaseSpec): LeaseSpec {
    const { identity, timing } = this.parts;
    const now = this.time();
    const isOwn = holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: secondsOf(timing),
      acquireTime: isOwn && acquireTime !== undefined ? acquireTime : now,
      renewTime: now,
      leaseTransitions: isOwn ? leaseTransitions : (leaseTransitions + 1) % MOST_TRANSITIONS,
    };
  }

  private age(): number {
    return this.parts.caller.now() - (this.held?.renewedAt ?? 0);
  }

  private time(): string {
    return microTime(this.parts.wallClock());
  }

  private holder(): string {
    const { holderIdentity = '' } = this.seen.text === '' ? {} : (JSON.parse(this.seen.text) as LeaseSpec);
    return holderIdentity === '' ? 'others' : `"${holderIdentity}"`;
  }
}
