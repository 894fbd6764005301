import { CniError, CODES, messageOf } from '../../../lib/cni/errors.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import type { LazyClient } from '../../../lib/kube/lazy-client.ts';
import { mapInTurn } from '../../../lib/sys/in-turn.ts';
import { randomBytes } from '../../../lib/sys/random.ts';
import { type Caller, isReserving, type Slices, type Step, type Store } from '../engine.ts';
import { LoadedPools } from '../loaded-pools.ts';
import { type ClusterPlace, DEFAULT_TIMING } from '../place.ts';
import { planRelease } from '../plan.ts';
import { transact } from '../transact.ts';
import { KubernetesEngine } from './engine.ts';
import { Hearers } from './hearers.ts';
import { attachmentKey, type Deletion, forgiving, type NodeJournal } from './journal.ts';
import { sharedAccess } from './kube-access.ts';
import { Leases, type Leasing, servedDuring, withoutLeases } from './leases.ts';
import { placeOf } from './load-pools.ts';
import { NodeQueue, type Turns } from './node-queue.ts';
import { PoolTurns } from './pool-turns.ts';
import { type Recents, recentsIn } from './recent.ts';
import { Requests } from './requests.ts';
import { type SlicesParts, slicesIn } from './slices.ts';
import { SqliteJournal } from './sqlite-journal.ts';

/** Deletions of former calls that a call finishes besides its own work. */
const MOST_OTHERS = 16;

/** A deletion that is not finished after this time was given up, or its call was killed. */
const UNDER_WAY = { afterMs: 35_000, isUnderWay: true } as const;

const PROBE_MS = 5000;

export function openClusterStore(place: ClusterPlace, scope: Scope): ClusterStore {
  const hearers = new Hearers();
  const { now, sleep, span } = scope;
  return new ClusterStore(place, {
    access: sharedAccess(place, scope.node),
    journal: new SqliteJournal(place, scope.node.openDatabase, { now, sleep, span, log: hearers.log }),
    recents: recentsIn(place.dataDir),
    turns: new NodeQueue(
      place.dataDir,
      scope,
      JSON.stringify([scope.suite.mark, { ...place, networkName: '', slices: undefined }]),
    ),
    hearers,
  });
}

interface Parts {
  readonly access: Pick<LazyClient, 'open'> & Disposable;
  readonly journal: NodeJournal & Disposable;
  readonly recents: Recents;
  readonly turns: Turns;
  readonly hearers: Hearers;
}

/** The store of a cluster, as this node sees it. What it cannot give back now, it gives back later. */
export class ClusterStore implements Store {
  private readonly parts: Parts;
  private readonly engine: KubernetesEngine;
  private readonly leasing: Leasing;
  private readonly reading: SlicesParts['reading'] = new Map();

  constructor({ concurrency, lease = DEFAULT_TIMING }: Pick<ClusterPlace, 'concurrency' | 'lease'>, parts: Parts) {
    const { access, journal, recents, hearers } = parts;
    const open = () => access.open();
    this.parts = parts;
    this.leasing = concurrency === 'lease' ? new Leases(open, lease) : withoutLeases(open);
    this.engine = new KubernetesEngine({
      open: () => this.leasing.open(),
      journal: forgiving(journal, hearers.log),
      recents,
      isStrict: concurrency !== 'cas',
    });
  }

  serve(steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> {
    const callers = steps.map((step) => step.caller);
    return this.parts.hearers.during(callers, () => this.serveNow(steps));
  }

  private async serveNow(steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> {
    const { journal } = this.parts;
    const deletions = steps.filter(isDeletion);
    const isBuried = await this.attempt(() => journal.bury(deletions.flatMap(deletionsIn), UNDER_WAY));
    const outcomes = await this.parts.turns.serve(
      steps,
      (all) => servedDuring(this.leasing, all, () => this.takeLiving(all)),
      (own, work) => this.inPoolTurn(own, work),
    );
    const isDone = (step: Step): boolean => outcomes[steps.indexOf(step)]?.status === 'fulfilled';
    await this.attempt(() => journal.finish(deletions.filter(isDone).flatMap(deletionsIn)));
    const [caller] = steps.filter(isDone).map((step) => step.caller);
    if (caller !== undefined) {
      await this.attempt(() => this.finishOthers(caller));
    }
    return isBuried
      ? mapInTurn(outcomes.entries().toArray(), ([at, outcome]) => this.deferred(steps[at], outcome))
      : outcomes;
  }

  probe(caller: Caller): Promise<void> {
    return this.parts.hearers.during([caller], () => this.probeNow(caller));
  }

  private async probeNow(caller: Caller): Promise<void> {
    const { access } = this.parts;
    try {
      const requests = new Requests(await access.open(), caller, { deadline: caller.now() + PROBE_MS, silenceMs: 0 });
      await requests.readPool('any'); // may it be there or not
      await this.finishOthers(caller);
    } catch (error) {
      throw new CniError('tryAgainLater', [messageOf(error), ...(await this.waiting())].join('; '), { cause: error });
    }
    for (const line of await this.waiting()) {
      caller.log(line);
    }
  }

  async slices({ networkName, slices: slicing }: ClusterPlace, caller: Caller): Promise<Slices> {
    const { access, journal } = this.parts;
    if (slicing === undefined) {
      throw new TypeError('ranges have no slices');
    }
    const known = { open: () => access.open(), journal: forgiving(journal, caller.log), reading: this.reading };
    return slicesIn({ ...known, caller, networkName, slicing });
  }

  [Symbol.dispose](): void {
    this.parts.journal[Symbol.dispose]();
    this.parts.access[Symbol.dispose]();
  }

  /** Nodes take turns at a pool that took long to change a moment ago. */
  private async inPoolTurn<T>(steps: readonly Step[], work: () => Promise<T>): Promise<T> {
    const { access, recents } = this.parts;
    const [first, ...others] = new Set(steps.flatMap(poolsOf));
    const [step] = steps;
    if (step === undefined || first === undefined || others.length > 0 || !recents('slow').isRecent()) {
      return work();
    }
    const identity = randomBytes(8).toString('hex');
    const turns = await access.open().then(
      (api) => new PoolTurns(api, step.caller, identity),
      () => undefined, // the work will tell
    );
    return turns === undefined ? work() : turns.during(first, work);
  }

  /** An attachment that is added again is deleted first: what would be given back later would be its own by then. */
  private async takeLiving(steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> {
    const refused = new Map<Step, PromiseRejectedResult>();
    for (const step of steps.filter(isReserving)) {
      try {
        await this.finishFirst(step);
      } catch (reason) {
        refused.set(step, { status: 'rejected', reason });
      }
    }
    const living = steps.filter((step) => !refused.has(step));
    const outcomes = living.length === 0 ? [] : await this.take(living);
    return steps.map((step) => refused.get(step) ?? outcomes[living.indexOf(step)] ?? FULFILLED);
  }

  private async finishFirst({ caller, networkName, asked: { owners, ranges } }: Step): Promise<void> {
    const { journal } = this.parts;
    const deleted = await forgiving(journal, caller.log).deletions(networkName, owners);
    for (const { id, ifname } of owners) {
      const state = deleted.get(attachmentKey({ id, ifname }))?.state ?? 'done';
      if (state === 'done') {
        continue;
      }
      if (state === 'under way' || !(await journal.take({ networkName, id, ifname }))) {
        throw new CniError('tryAgainLater', `cannot reserve for container ${id}: its former deletion is under way`);
      }
      const deletion = { networkName, id, ifname, ranges: typeof ranges === 'string' ? undefined : ranges };
      await transact(this.engine, [stepOf(deletion, caller)]);
      await journal.finish([deletion]);
    }
  }

  /** Together if that works, else one by one: what one step meets is no reason to fail another. */
  private async take(steps: readonly Step[]): Promise<readonly PromiseSettledResult<void>[]> {
    try {
      const outcomes = await transact(this.engine, steps);
      // What is released in a transaction can be given in the next one.
      const mayRepeat = steps.length > 1 && steps.some(({ isRelease }) => isRelease);
      return await mapInTurn(steps.entries().toArray(), async ([at, step]) => {
        const outcome = outcomes[at] ?? FULFILLED;
        return outcome.status === 'rejected' && mayRepeat ? this.takeAlone(step) : outcome;
      });
    } catch (reason) {
      if (steps.length > 1 && !isTransient(reason)) {
        return mapInTurn(steps, (step) => this.takeAlone(step));
      }
      return steps.map(() => ({ status: 'rejected', reason }));
    }
  }

  private async takeAlone(step: Step): Promise<PromiseSettledResult<void>> {
    try {
      const [outcome] = await transact(this.engine, [step]);
      return outcome ?? FULFILLED;
    } catch (reason) {
      return { status: 'rejected', reason };
    }
  }

  /** A pod must be able to go: who deletes it hears of no failure, since it will be made good. */
  private async deferred(
    step: Step | undefined,
    outcome: PromiseSettledResult<void>,
  ): Promise<PromiseSettledResult<void>> {
    if (outcome.status === 'fulfilled' || step === undefined || !isDeletion(step)) {
      return outcome;
    }
    const { recents } = this.parts;
    if (isTransient(outcome.reason)) {
      recents('silent').remember();
    }
    for (const deletion of deletionsIn(step)) {
      const what = `container ${deletion.id} ${deletion.ifname}`;
      step.caller.log(`${messageOf(outcome.reason)}: what ${what} holds is given back later`);
    }
    await this.attempt(() => this.parts.journal.postpone(deletionsIn(step)));
    step.plan(new LoadedPools([]));
    return FULFILLED;
  }

  /** What former calls could not finish. */
  private async finishOthers(caller: Caller): Promise<void> {
    const { journal } = this.parts;
    const due = await journal.due(MOST_OTHERS);
    if (due.length === 0) {
      return;
    }
    const steps = due.map((deletion) => stepOf(deletion, caller));
    try {
      await this.leasing.during(steps, () => transact(this.engine, steps));
      await journal.finish(due);
    } catch (error) {
      await journal.postpone(due);
      throw error;
    }
  }

  private async waiting(): Promise<readonly string[]> {
    const count = await this.parts.journal.waiting().catch(() => 0);
    return count === 0 ? [] : [`addresses of ${count} deleted attachments are still to be given back`];
  }

  private async attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.parts.hearers.log(messageOf(error));
      return false;
    }
  }
}

/** Names of the objects that a step changes, as far as it says. */
const poolsOf = ({ networkName, asked: { ranges } }: Step): readonly string[] =>
  typeof ranges === 'string' ? [] : ranges.map((range) => placeOf(networkName, range).name);

const FULFILLED: PromiseSettledResult<void> = { status: 'fulfilled', value: undefined };

const isTransient = (error: unknown): boolean => error instanceof CniError && error.code === CODES.tryAgainLater;

/** What collects is asked for again anyway. */
const isDeletion = ({ isRelease, asked }: Step): boolean => isRelease && asked.owners.length > 0;

const deletionsIn = ({ networkName, asked: { ranges, owners } }: Step): readonly Deletion[] =>
  owners.map(({ id, ifname }) => ({
    networkName,
    id,
    ifname,
    ranges: typeof ranges === 'string' ? undefined : ranges,
  }));

const stepOf = ({ networkName, id, ifname, ranges }: Deletion, caller: Caller): Step => ({
  caller,
  networkName,
  asked: { ranges: ranges ?? 'held', owners: [{ id, ifname, podref: '' }], protectOverlaps: false },
  isLook: false,
  isRelease: true,
  plan: (pools) => planRelease({ id, ifname }, pools).changes,
});
