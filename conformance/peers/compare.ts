/** Gives one case to our plugin and to Go's, each on a node of its own, and says in what they differ. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Outcome } from '../lab/execute.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { errorOf, parsed } from '../lab/printed.ts';
import { type Call, GO, isOldest, OURS, type Side, stdinOf } from '../lab/programs.ts';
import { comparable, filesIn, type NetnsState, rulesOf, settledStateOf, sysctlsOf } from '../lab/state.ts';
import { fakeSysfs, type Sysfs } from '../lab/sysfs.ts';

/** One configuration and what is done with it. */
export interface Case {
  readonly title: string;
  readonly plugin: string;
  /** an object or text; `{store}` in it is a folder of the side, `{bin}` that of its programs */
  readonly conf: unknown;
  /** `ip` commands before anything is called: `pod: link add …` or `node: …` */
  readonly prepare?: readonly string[];
  /** files below `{store}` before anything is called */
  readonly files?: Readonly<Record<string, unknown>>;
  /** what the programs see as /sys */
  readonly sysfs?: Sysfs;
  /** `ip` commands between ADD and what follows */
  readonly meanwhile?: readonly string[];
  readonly call?: Partial<Pick<Call, 'ifName' | 'containerId' | 'args' | 'path' | 'env'>>;
  /** CNI_NETNS instead of the pod's: `{pod}` is the pod's path */
  readonly netns?: string;
  /** default: ADD, CHECK where the version has it, DEL */
  readonly verbs?: readonly string[];
  /** how many DELs at the end; 1 unless told */
  readonly dels?: number;
  /** hardware addresses that are compared too */
  readonly macs?: readonly string[];
  /** `ip` commands that make a place good again after a side that leaves it otherwise: cheaper than another place */
  readonly mend?: readonly string[];
  /** `ip` commands that take away what `prepare` has made, so that the place can be used again */
  readonly tidy?: readonly string[];
  /** rules of the pod are compared too, but for who made them */
  readonly rules?: boolean;
  /** what DEL leaves goes with the interface, which another plugin deletes */
  readonly goesWithLink?: boolean;
  /** changes the document between ADD and CHECK */
  readonly checkWith?: Readonly<Record<string, unknown>>;
}

/** What one call did. */
export interface Step {
  readonly verb: string;
  readonly exit: number | string;
  /** of a failure */
  readonly code: number | undefined;
  /** of a failure */
  readonly message: string;
  readonly stdout: string;
  readonly pod: NetnsState;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly node: NetnsState;
  readonly store: Readonly<Record<string, string>>;
  /** namespaces and store are as they were before the first call */
  readonly isUntouched: boolean;
}

export type Aspect = 'exit' | 'code' | 'stdout' | 'pod' | 'sysctls' | 'node' | 'store';
const ASPECTS: readonly Aspect[] = ['exit', 'code', 'stdout', 'pod', 'sysctls', 'node', 'store'];

export interface Deviation {
  readonly case: Case;
  readonly verb: string;
  readonly aspect: Aspect;
  readonly ours: Step;
  readonly go: Step;
}

export interface Comparison {
  readonly deviations: readonly Deviation[];
  readonly ours: readonly Step[];
  readonly go: readonly Step[];
  /** what must not be, whatever Go does */
  readonly faults: readonly string[];
}

/** Two nodes that look the same, one for each side; pods are used again while nothing is left in them. */
export class Bench implements AsyncDisposable {
  private readonly places: Readonly<Record<Side['name'], Place>>;

  private constructor(ours: Place, go: Place) {
    this.places = { ours, go };
  }

  static async open(): Promise<Bench> {
    const [ours, go] = await Promise.all([Place.open(), Place.open()]);
    return new Bench(ours, go);
  }

  async compare(one: Case): Promise<Comparison> {
    const [ours, go] = await Promise.all([this.places.ours.perform(one, OURS), this.places.go.perform(one, GO)]);
    const deviations = ours.steps.flatMap((step, index) => {
      const other = go.steps[index];
      return other === undefined
        ? []
        : differing(step, other).map((aspect) => ({ case: one, verb: step.verb, aspect, ours: step, go: other }));
    });
    return {
      deviations: untilTheyPart(deviations),
      ours: ours.steps,
      go: go.steps,
      faults: faultsOf(one, ours, go.steps),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.places.ours.close(), this.places.go.close()]);
  }
}

function faultsOf(one: Case, { steps, left }: Performance, go: readonly Step[]): readonly string[] {
  const faults = steps.flatMap(({ verb, exit, message, stdout }, index) => {
    const previous = steps[index - 1];
    const isUndisturbed =
      one.meanwhile === undefined && one.checkWith === undefined && previous?.verb === 'ADD' && go[index]?.exit === 0;
    return [
      ...(exit === 0 || exit === 1 ? [] : [`${verb} ends with ${exit}`]),
      ...(verb === 'CHECK' && exit !== 0 && isUndisturbed && previous.exit === 0
        ? [`CHECK after ADD fails: ${message}`]
        : []),
      ...(['DEL', 'CHECK', 'GC', 'STATUS'].includes(verb) && stdout !== '' ? [`${verb} prints ${stdout}`] : []),
    ];
  });
  return left === undefined ? faults : [...faults, `something is left: ${left}`];
}

interface Performance {
  readonly steps: readonly Step[];
  /** what was not taken back */
  readonly left: string | undefined;
}

type Looks = Pick<Step, 'pod' | 'node' | 'store'>;

class Place {
  private lab: Lab;
  private pod: Pod | undefined;
  /** how the place looks while nothing was done in it */
  private pristine: Looks | undefined;

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  static async open(): Promise<Place> {
    return new Place(await Lab.open());
  }

  async perform(one: Case, side: Side): Promise<Performance> {
    try {
      return await this.performHere(one, side);
    } catch (error) {
      await this.renew();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.lab[Symbol.asyncDispose]();
  }

  private async performHere(one: Case, side: Side): Promise<Performance> {
    this.pod ??= await this.lab.pod();
    const { lab, pod } = this;
    const store = lab.folder('store');
    if (one.tidy !== undefined) {
      this.pristine ??= await this.look(one, pod, store);
    }
    await this.prepare(one.prepare);
    for (const [name, content] of Object.entries(one.files ?? {})) {
      mkdirSync(dirname(join(store, name)), { recursive: true });
      writeFileSync(join(store, name), stdinOf(placed(content, store, side)));
    }
    const isPrepared = [one.prepare, one.meanwhile, one.files].some((each) => each !== undefined);
    const before = isPrepared
      ? await this.look(one, pod, store)
      : (this.pristine ?? (await this.look(one, pod, store)));
    this.pristine ??= isPrepared ? undefined : before;
    const steps: Step[] = [];
    let now = before;
    let added: unknown;
    const conf = placed(one.conf, store, side);
    const seen = one.sysfs === undefined ? {} : { sysfs: fakeSysfs(lab, one.sysfs) };
    for (const verb of verbsOf(one, conf)) {
      if (one.verbs === undefined && verb === 'CHECK' && added === undefined) {
        continue;
      }
      const document = verb === 'ADD' ? conf : withPrevious(conf, added, verb === 'CHECK' ? one.checkWith : undefined);
      const netns = (one.netns ?? '{pod}').replace('{pod}', pod.path);
      const outcome = await lab.call({ verb, plugin: one.plugin, conf: document, netns, ...seen, ...one.call }, side);
      if (changesSomething(verb, steps, one)) {
        now = await this.look(one, pod, store);
      }
      steps.push(await this.stepOf(one, verb, outcome, { before, now, pod, side }));
      if (verb === 'ADD' && outcome.exitCode === 0) {
        added = parsed(outcome.stdout);
        await this.prepare(one.meanwhile);
      }
    }
    const same = isDeepStrictEqual(before, now);
    const isGood = isPrepared ? this.isTidied(one, pod) : same || this.isMended(one, before, pod, store);
    if (!(await isGood)) {
      await this.renew();
    }
    rmSync(store, { recursive: true, force: true });
    return {
      steps,
      left: same || one.meanwhile !== undefined || one.goesWithLink ? undefined : firstDifference(before, now),
    };
  }

  private async isMended(one: Case, before: Looks, pod: Pod, store: string): Promise<boolean> {
    if (one.mend === undefined) {
      return false;
    }
    try {
      await this.prepare(one.mend);
    } catch {
      return false;
    }
    return isDeepStrictEqual(before, await this.look(one, pod, store));
  }

  private async isTidied(one: Case, pod: Pod): Promise<boolean> {
    if (one.tidy === undefined) {
      return false;
    }
    rmSync(join(this.lab.dir, 'store'), { recursive: true });
    try {
      await this.prepare(one.tidy);
    } catch {
      return false;
    }
    return isDeepStrictEqual(this.pristine, await this.look(one, pod, this.lab.folder('store')));
  }

  private async renew(): Promise<void> {
    const [lab] = await Promise.all([Lab.open(), this.close()]);
    this.lab = lab;
    this.pod = undefined;
    this.pristine = undefined;
  }

  private async prepare(commands: readonly string[] = []): Promise<void> {
    for (const text of commands) {
      const at = text.indexOf(': ');
      const namespace = text.slice(0, at) === 'pod' ? (this.pod?.name ?? '') : this.lab.node;
      await this.lab.ip(namespace, text.slice(at + 2));
    }
  }

  private async look(one: Case, pod: Pod, store: string): Promise<Looks> {
    const [podState, node, rules] = await Promise.all([
      settledStateOf(pod.name),
      settledStateOf(this.lab.node),
      one.rules ? rulesOf(pod.name) : undefined,
    ]);
    const files = Object.entries(filesIn(store));
    const lasting = files.filter(([name]) => !/\/(lock|last_reserved_ip\..*|\.owners|)$/.test(name)); // host-local keeps those
    const records = lasting.map(([name, content]) => [
      name,
      withoutChosen(readable(content).replaceAll(store, '<store>'), pod, one),
    ]);
    const told = rules?.map(({ protocol: _, ...rule }) => rule);
    return {
      pod: { ...comparable(podState, one.macs), ...(told && { rules: told }) },
      node: comparable(node),
      store: Object.fromEntries(records),
    };
  }

  private async stepOf(one: Case, verb: string, outcome: Outcome, { before, now, pod, side }: Seen): Promise<Step> {
    const failed = outcome.exitCode !== 0;
    const said = failed ? (side.name === 'ours' ? errorOf(outcome) : errorOrPanic(outcome)) : undefined;
    return {
      verb,
      exit: side.name === 'go' && failed ? 1 : (outcome.exitCode ?? outcome.signal ?? ''),
      code: said?.code,
      message: said?.message ?? '',
      stdout: failed ? '' : withoutChosen(outcome.stdout, pod, one),
      ...now,
      sysctls: verb === 'ADD' && !failed ? await sysctlsOf(pod.name, one.call?.ifName ?? 'net1') : {},
      isUntouched: isDeepStrictEqual(before, now),
    };
  }
}

/** multus and libcni keep configurations in base64. */
const readable = (content: string): string =>
  content.replace(
    /"(Bytes|config)":"([A-Za-z0-9+/=]*)"/g,
    (_, key: string, text: string) => `"${key}":${Buffer.from(text, 'base64')}`,
  );

interface Seen {
  readonly before: Looks;
  readonly now: Looks;
  readonly pod: Pod;
  readonly side: Side;
}

/** After a CHECK, and after a second DEL of nothing in particular, everything is as it was. */
const changesSomething = (verb: string, steps: readonly Step[], { verbs }: Case): boolean =>
  verbs !== undefined || verb !== 'CHECK' || steps.length === 0;

/** Go plugins that panic print no error object. */
function errorOrPanic(outcome: Outcome): { readonly code: number; readonly message: string } {
  return outcome.exitCode === 2 && outcome.stdout === ''
    ? { code: 999, message: outcome.stderr.slice(0, 200) }
    : errorOf(outcome);
}

/** Once one side goes on where the other has failed, what follows cannot be compared. */
function untilTheyPart(deviations: readonly Deviation[]): readonly Deviation[] {
  const parting = deviations.findIndex(({ verb, aspect }) => verb === 'ADD' && aspect === 'exit');
  return parting < 0 ? deviations : deviations.slice(0, parting + 1);
}

/** For people: what is different. */
export const describeDeviation = ({ verb, aspect, ours, go }: Deviation): string =>
  aspect === 'exit' || aspect === 'code'
    ? `${verb} ${aspect}: ours ${ours.exit} (${ours.code ?? '-'}) ${ours.message}; Go ${go.exit} (${go.code ?? '-'}) ${go.message}`
    : `${verb} ${aspect}: ours / Go at ${firstDifference(ours[aspect], go[aspect])}`;

function differing(ours: Step, go: Step): readonly Aspect[] {
  const aspects = ASPECTS.filter((aspect) => !isDeepStrictEqual(ours[aspect], go[aspect]));
  return aspects.includes('exit') ? aspects.filter((aspect) => aspect !== 'code') : aspects;
}

function verbsOf(one: Case, conf: unknown): readonly string[] {
  if (one.verbs !== undefined) {
    return one.verbs;
  }
  const version = versionOf(conf);
  return [
    'ADD',
    ...(isOldest(version) || version.startsWith('0.3') ? [] : ['CHECK']),
    ...Array.from({ length: one.dels ?? 1 }, () => 'DEL'),
  ];
}

function versionOf(conf: unknown): string {
  const value = (typeof conf === 'object' && conf !== null ? conf : {}) as Readonly<Record<string, unknown>>;
  const key = Object.keys(value).findLast((name) => name.toLowerCase() === 'cniversion');
  return key === undefined ? '' : String(value[key] ?? '');
}

function placed(conf: unknown, store: string, { bin }: Side): unknown {
  return typeof conf === 'object' && !Buffer.isBuffer(conf)
    ? JSON.parse(JSON.stringify(conf).replaceAll('{store}', store).replaceAll('{bin}', bin))
    : conf;
}

/** As runtimes do it; multus may have answered in another version, which they would convert. */
function withPrevious(conf: unknown, prevResult: unknown, more: Readonly<Record<string, unknown>> = {}): unknown {
  if (typeof conf !== 'object' || Buffer.isBuffer(conf)) {
    return conf;
  }
  const isConfs = prevResult === undefined || versionOf(prevResult) === (versionOf(conf) || '0.1.0');
  return { ...conf, ...(isConfs ? { prevResult } : {}), ...more };
}

function withoutChosen(stdout: string, pod: Pod, { macs = [] }: Case): string {
  return stdout
    .replaceAll(pod.path, '<pod>')
    .replace(/"mac":( ?)"([^"]+)"/g, (text, blank, mac: string) =>
      macs.includes(mac) ? text : `"mac":${blank}"<chosen>"`,
    );
}

/** Where two values differ first, for people. */
export function firstDifference(a: unknown, b: unknown, path = ''): string | undefined {
  if (isDeepStrictEqual(a, b)) {
    return undefined;
  }
  if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      const [left, right] = [a, b].map((value) => (value as Readonly<Record<string, unknown>>)[key]);
      const found = firstDifference(left, right, `${path}.${key}`);
      if (found !== undefined) {
        return found;
      }
    }
  }
  if (typeof a === 'string' && typeof b === 'string') {
    const at = [...a].findIndex((char, index) => char !== [...b][index]);
    return `${path}: …${around(a, at)} / …${around(b, at)}`;
  }
  return `${path}: ${JSON.stringify(a)} / ${JSON.stringify(b)}`;
}

const around = (text: string, at: number): string => JSON.stringify(text.slice(Math.max(0, at - 60), at + 100));
