/** Callers that add and delete pods at random, on several nodes at once; what pods were told is held against the pools. */
import { expect } from 'vitest';
import { inParallel, type Outcome } from '../lab/execute.ts';
import { errorOf } from '../lab/printed.ts';
import { Random, SEED } from '../lab/random.ts';
import { type Attachment, type CallingNode, givenBy } from './calling-node.ts';

/** What is known of a pod: what it was told, that it has nothing, or neither, since a call was killed or failed. */
type Condition = { readonly given: readonly string[] } | 'absent' | 'unknown';

interface Tenant {
  readonly node: CallingNode;
  readonly attachment: Attachment;
  condition: Condition;
}

interface Caller {
  readonly random: Random;
  readonly tenants: readonly Tenant[];
}

export interface ChurnOptions {
  /** chance that a call is killed at some instant */
  readonly killing?: number;
  readonly podsOfCaller?: number;
  readonly callersOfNode?: number;
}

/** A kill comes within the time that a call takes. */
const LONGEST_MS = 400;
/** A runtime calls DEL again when it has failed; ours does not. */
const TRIES = 10;
/** What an ADD says that could not be done now, or finds what a killed call has left. */
const FAILURES = [11, 999];

export class Churn {
  readonly count = { added: 0, deleted: 0, killed: 0, failed: 0 };
  /** what those calls said that failed */
  readonly failures: string[] = [];
  private readonly callers: readonly Caller[];
  private readonly killing: number;

  constructor(nodes: readonly CallingNode[], prefix: string, options: ChurnOptions = {}) {
    const { killing = 0, podsOfCaller = 3, callersOfNode = 2 } = options;
    this.killing = killing;
    this.callers = nodes.flatMap((node, at) =>
      Array.from({ length: callersOfNode }, (_, caller) => ({
        random: new Random(SEED + (at * callersOfNode + caller) * 7919),
        tenants: Array.from({ length: podsOfCaller }, (__, pod) => {
          const name = `${prefix}-${at}-${caller}-${pod}`;
          return { node, attachment: { id: `c-${name}`, pod: name, ifname: 'net1' }, condition: 'absent' as const };
        }),
      })),
    );
  }

  /** Until nobody has a reason to go on. */
  async run(goesOn: () => boolean): Promise<void> {
    await inParallel(this.callers, this.callers.length, async ({ random, tenants }) => {
      while (goesOn()) {
        await this.round(random.pick(tenants), random);
      }
    });
  }

  /** Of the calls that were not killed, those that failed: 0 to 1. */
  get failedShare(): number {
    const { added, deleted, failed } = this.count;
    return failed / Math.max(added + deleted + failed, 1);
  }

  /** What pods have that were told so. */
  get given(): readonly string[] {
    return this.tenants.flatMap(({ condition }) => (typeof condition === 'string' ? [] : condition.given));
  }

  /** Everybody goes. */
  async end(): Promise<void> {
    await inParallel(this.callers, this.callers.length, async ({ tenants }) => {
      for (const tenant of tenants) {
        for (let tries = 1; tries <= TRIES && tenant.condition !== 'absent'; tries++) {
          await this.remove(tenant);
        }
        expect(tenant.condition, this.failures.at(-1)).toBe('absent');
      }
    });
  }

  private get tenants(): readonly Tenant[] {
    return this.callers.flatMap(({ tenants }) => tenants);
  }

  private round(tenant: Tenant, random: Random): Promise<void> {
    const killAfterMs = random.chance(this.killing) ? 20 + random.below(LONGEST_MS) : undefined;
    const isAdded = tenant.condition === 'absent' || random.chance(tenant.condition === 'unknown' ? 0.3 : 0.1);
    return isAdded ? this.add(tenant, killAfterMs) : this.remove(tenant, killAfterMs);
  }

  private async add(tenant: Tenant, killAfterMs?: number): Promise<void> {
    const { node, attachment, condition: before } = tenant;
    tenant.condition = 'unknown';
    const outcome = await node.call('ADD', attachment, killAfterMs === undefined ? {} : { killAfterMs });
    if (this.isDead(outcome)) {
      return;
    }
    if (outcome.exitCode !== 0) {
      this.count.failed++;
      this.failures.push(outcome.stdout);
      expect(FAILURES).toContain(errorOf(outcome).code);
      return;
    }
    this.count.added++;
    const given = givenBy(outcome, attachment);
    if (typeof before !== 'string') {
      expect(given, 'a repeated ADD gives the same').toEqual(before.given);
    }
    tenant.condition = { given };
  }

  private async remove(tenant: Tenant, killAfterMs?: number): Promise<void> {
    tenant.condition = 'unknown';
    const outcome = await tenant.node.call('DEL', tenant.attachment, killAfterMs === undefined ? {} : { killAfterMs });
    if (this.isDead(outcome)) {
      return;
    }
    if (outcome.exitCode !== 0) {
      this.count.failed++;
      this.failures.push(outcome.stdout);
      return;
    }
    this.count.deleted++;
    tenant.condition = 'absent';
  }

  private isDead({ signal }: Outcome): boolean {
    this.count.killed += signal === undefined ? 0 : 1;
    return signal !== undefined;
  }
}
