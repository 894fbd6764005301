/** A device of a node that pods get and give back. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import type { Outcome } from '../../lab/execute.ts';
import { Lab, PARENT, type Pod } from '../../lab/lab.ts';
import { type Picture, pictureOf } from '../../lab/picture.ts';
import { errorOf, parsed } from '../../lab/printed.ts';
import { type Call, OURS, type Side } from '../../lab/programs.ts';
import { filesIn, type NetnsState, stateOf } from '../../lab/state.ts';

/** The lab's link of the node is the device: a veth, which ends with the namespace that it is in. */
export const DEVICE = PARENT;
export const OK = { exitCode: 0, signal: undefined };

export interface Result {
  readonly cniVersion: string;
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly sandbox: string }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number }[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string; readonly table?: number }[];
  readonly dns?: object;
}

/** One device, one pod, one configuration. */
export class Attachment implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod: Pod;
  /** whose program is called */
  side: Side = OURS;
  /** more of every call */
  with: Partial<Call> = {};
  private readonly version: string;
  private conf: object = {};
  private prevResult: unknown;

  private constructor(lab: Lab, pod: Pod, version: string) {
    this.lab = lab;
    this.pod = pod;
    this.version = version;
  }

  static async open(version = '1.1.0', podOptions = {}): Promise<Attachment> {
    const lab = await Lab.open();
    return new Attachment(lab, await lab.pod(podOptions), version);
  }

  /** The same device, for another pod. */
  async another(pod: { readonly name?: string } = {}): Promise<Attachment> {
    const other = new Attachment(this.lab, await this.lab.pod(pod), this.version);
    other.configure(this.conf);
    other.with = { containerId: 'c2' };
    return other;
  }

  /** @param conf `device` is the lab's unless another selector is given */
  configure(conf: object): void {
    this.conf = conf;
  }

  get document(): object {
    const selectors = ['device', 'hwaddr', 'kernelpath', 'pciBusID', 'runtimeConfig'];
    const device = selectors.some((key) => key in this.conf) ? {} : { device: DEVICE };
    const dataDir = this.records;
    return { cniVersion: this.version, name: 'net-a', type: 'host-device', dataDir, ...device, ...this.conf };
  }

  get records(): string {
    return join(this.lab.dir, 'records');
  }

  call(verb: string, more: Partial<Call> = {}, killAfterMs?: number): Promise<Outcome> {
    const previous = ['DEL', 'CHECK'].includes(verb) ? { prevResult: this.prevResult } : {};
    const call = { verb, plugin: 'host-device', conf: { ...this.document, ...previous }, netns: this.pod.path };
    const options = killAfterMs === undefined ? {} : { killAfterMs };
    return this.lab.call({ ...call, ...this.with, ...more }, this.side, options);
  }

  /** ADD that must succeed. */
  async add(more: Partial<Call> = {}): Promise<Result> {
    const outcome = await this.call('ADD', more);
    expect(outcome).toMatchObject(OK);
    this.prevResult = parsed(outcome.stdout);
    return this.prevResult as Result;
  }

  /** DEL, or another verb that prints nothing, that must succeed. */
  async succeed(verb: string, more: Partial<Call> = {}): Promise<void> {
    expect(await this.call(verb, more)).toMatchObject({ ...OK, stdout: '' });
  }

  /** @returns the error of a call that must fail */
  async fail(verb: string, more: Partial<Call> = {}): Promise<ReturnType<typeof errorOf>> {
    const outcome = await this.call(verb, more);
    expect(outcome).toMatchObject({ exitCode: 1 });
    return errorOf(outcome);
  }

  inPod(command: string): Promise<string> {
    return this.lab.ip(this.pod.name, command);
  }

  onNode(command: string): Promise<string> {
    return this.lab.ip(this.lab.node, command);
  }

  podState(): Promise<NetnsState> {
    return stateOf(this.pod.name);
  }

  nodeState(): Promise<NetnsState> {
    return stateOf(this.lab.node);
  }

  /** Names of the records that are kept. */
  recorded(): readonly string[] {
    return Object.keys(filesIn(this.records));
  }

  /** Waits until the node is as it was. */
  expectHome(before: Picture): Promise<void> {
    return eventually(() => pictureOf(this.lab), before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
