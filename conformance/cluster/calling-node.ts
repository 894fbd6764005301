/** A node whose runtime calls whereabouts: each call a process, with a journal and a queue of the node's own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_ENV, type Env, execute, type Outcome } from '../lab/execute.ts';
import { STANDALONE } from '../lab/programs.ts';
import { IS_RESIDENT, ResidentForm } from '../lab/resident.ts';

/** An interface of a container of a pod of the namespace `lab`. */
export interface Attachment {
  readonly id: string;
  readonly pod: string;
  readonly ifname: string;
}

export interface Calling {
  readonly env?: Env;
  readonly killAfterMs?: number;
  readonly onStart?: (kill: () => void) => void;
}

export class CallingNode implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'braid-node-'));
  private readonly ipam: object;
  private readonly binaries: string;
  private readonly resident: ResidentForm;

  /** @param binaries folder of whereabouts, which may be the Go one */
  constructor(kubeconfig: string, ranges: readonly string[], binaries = STANDALONE) {
    const flatFile = join(this.folder, 'whereabouts.conf'); // the Go plugin does not do without
    writeFileSync(flatFile, JSON.stringify({ datastore: 'kubernetes', kubernetes: { kubeconfig } }));
    const ipRanges = ranges.map((range) => ({ range }));
    this.ipam = { type: 'whereabouts', ipRanges, configuration_path: flatFile, data_dir: this.folder };
    this.binaries = binaries;
    this.resident = new ResidentForm(
      [],
      { prefix: 'braid-node', dir: this.folder },
      IS_RESIDENT && binaries === STANDALONE,
    );
  }

  call(verb: string, { id, pod, ifname }: Attachment, { env = {}, ...more }: Calling = {}): Promise<Outcome> {
    const conf = { cniVersion: '1.0.0', name: 'net-a', type: 'macvlan', ipam: this.ipam };
    const all = {
      ...BASE_ENV,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: id,
      CNI_NETNS: '/proc/self/ns/net',
      CNI_NETNS_OVERRIDE: '1',
      CNI_IFNAME: ifname,
      CNI_PATH: this.binaries,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${pod}`,
      ...env,
    };
    return this.resident.call(all, [], (place) =>
      execute([join(place?.bin ?? this.binaries, 'whereabouts')], {
        stdin: JSON.stringify({ ...conf, cniVersion: verb === 'STATUS' ? '1.1.0' : '1.0.0' }),
        env: { ...all, ...place?.env },
        ...more,
      }),
    );
  }

  /** What former calls could not finish is finished by these. */
  async sweep(): Promise<Outcome> {
    return this.call('STATUS', { id: '', pod: '', ifname: '' });
  }

  [Symbol.dispose](): void {
    this.resident[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** `10.0.0.1 lab/web net1` of each address that an ADD has answered with. */
export const givenBy = ({ stdout }: Outcome, { pod, ifname }: Attachment): readonly string[] =>
  ((JSON.parse(stdout) as { ips?: { address: string }[] }).ips ?? []).map(
    ({ address }) => `${address.split('/')[0]} lab/${pod} ${ifname}`,
  );
