/** The image: what is in it, and that it is the same when it is made again. */
import { existsSync, globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../lab/execute.ts';
import { DIST, ROOT } from '../lab/programs.ts';

const FOLDER = join(DIST, 'image');

const make = (): Promise<string> => mustRun([process.execPath, join(ROOT, 'bundle/image.ts')]);

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly components?: readonly Component[];
}

describe('the image', () => {
  it('is the same to the byte when it is made again, and says what it consists of', async () => {
    if (!existsSync(FOLDER)) {
      await make();
    }
    const sums = readFileSync(join(FOLDER, 'SHA256SUMS'), 'utf8');
    rmSync(FOLDER, { recursive: true });
    await make();
    expect(readFileSync(join(FOLDER, 'SHA256SUMS'), 'utf8')).toBe(sums);

    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const { components } = JSON.parse(readFileSync(join(FOLDER, 'sbom.cdx.json'), 'utf8')) as {
      readonly components: readonly Component[];
    };
    const named = new Map(components.map((one) => [one.name, one]));
    for (const [name, version] of Object.entries(dependencies)) {
      expect(named.get(name)?.purl).toBe(`pkg:npm/${name.replace('@', '%40')}@${version}`);
    }
    expect(named.get('node')?.version).toBe(process.versions.node);
    expect(named.get('node')?.components?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['openssl', 'v8', 'uv']),
    );
    expect(named.get('libc6')?.purl).toMatch(/^pkg:deb\/\w+\/libc6@/);

    const [archive = ''] = globSync('braid-[0-9]*.tar', { cwd: FOLDER });
    const layers = join(FOLDER, 'layers');
    await mustRun(['mkdir', layers]);
    await mustRun(['tar', '-xf', join(FOLDER, archive), '-C', layers]);
    const lists: string[] = [];
    for (const blob of globSync('blobs/sha256/*', { cwd: layers })) {
      if (readFileSync(join(layers, blob)).subarray(0, 2).equals(Buffer.of(0x1f, 0x8b))) {
        lists.push(await mustRun(['tar', '-tzf', join(layers, blob)]));
      }
    }
    rmSync(layers, { recursive: true });
    const inside = lists.join('');
    const licensed = ['braid/LICENSE', 'braid/NOTICES.txt'];
    const ofSystem = components
      .filter(({ purl }) => purl.startsWith('pkg:deb/'))
      .map(({ name }) => `${name}/copyright`);
    for (const path of [...licensed, ...ofSystem]) {
      expect(inside).toContain(`usr/share/licenses/${path}\n`);
    }
    expect(inside).toContain('usr/share/sbom/braid.cdx.json\n');
    expect(inside).toMatch(/^bin\/k8s-rdma-shared-dp\nentrypoint\.sh\n/m);
    expect(inside).toContain('usr/bin/sriovdp\n');
    expect(inside).toContain('usr/local/bin/braid.node\n');
    const notices = readFileSync(join(DIST, 'NOTICES.txt'), 'utf8');
    for (const { name } of components.filter(({ purl }) => purl.startsWith('pkg:npm/'))) {
      expect(notices).toMatch(new RegExp(`^${name}\\n\\n`, 'm'));
    }
  });

  it('is there for manifests of the Go device plugins too, which name no command and no user', async () => {
    if (!existsSync(FOLDER)) {
      await make();
    }
    const starts = await Promise.all(
      globSync('*.tar', { cwd: FOLDER })
        .sort()
        .map(async (archive) => {
          const read = async <T>(path: string): Promise<T> =>
            JSON.parse(await mustRun(['tar', '-xOf', join(FOLDER, archive), path])) as T;
          const blob = <T>({ digest }: Descriptor): Promise<T> => read(`blobs/${digest.replace(':', '/')}`);
          const { manifests } = await read<{ manifests: readonly [Descriptor] }>('index.json');
          const { config, layers } = await blob<{ config: Descriptor; layers: readonly Descriptor[] }>(manifests[0]);
          const image = await blob<{ config: { readonly User: string; readonly Entrypoint: readonly string[] } }>(
            config,
          );
          const { User, Entrypoint } = image.config;
          return {
            archive: archive.replace(/-\d.*/, ''),
            User,
            Entrypoint,
            layers: layers.map(({ digest }) => digest),
          };
        }),
    );
    const [braid] = starts;
    const common = { layers: braid?.layers };
    expect(starts).toEqual([
      { ...common, archive: 'braid', User: '65532:65532', Entrypoint: ['/usr/local/bin/braid'] },
      { ...common, archive: 'braid-k8s-rdma-shared-dev-plugin', User: '0:0', Entrypoint: ['/bin/k8s-rdma-shared-dp'] },
      { ...common, archive: 'braid-sriov-network-device-plugin', User: '0:0', Entrypoint: ['/entrypoint.sh'] },
    ]);
  });
});

interface Descriptor {
  readonly digest: string;
}
