import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { Shared, type Slot } from '../../../lib/sys/shared.ts';
import { type Datastore, openDatastore } from '../datastore.ts';
import type { ClusterPlace } from '../place.ts';

/** A node of a real cluster that has slices by its name. */
export class SlicedNode implements Disposable {
  readonly store: Datastore;
  readonly lines: string[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), 'braid-node-'));
  private readonly shared = new Shared();

  constructor(name: string, cluster: Pick<ClusterPlace, 'kubeconfig' | 'networkName'> & Partial<ClusterPlace>) {
    const node = { shared: <T extends Disposable>(slot: Slot<T>) => this.shared.get(slot) };
    const scope = fakeScope({ node, log: (line) => this.lines.push(line) });
    const slices = { pool: cluster.networkName, nodeName: { env: name, folder: '' } };
    this.store = openDatastore(
      { kind: 'kubernetes', dataDir: this.folder, concurrency: 'cas', slices, ...cluster },
      scope,
    );
  }

  [Symbol.dispose](): void {
    this.shared[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
  }
}
