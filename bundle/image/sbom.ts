import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundledPackages, type PackageJson, readPackageJson } from '../packages.ts';
import type { SystemPackage } from './libraries.ts';

interface Component {
  readonly type: 'application' | 'library' | 'platform';
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly 'bom-ref': string;
  readonly licenses?: readonly object[];
  readonly components?: readonly Component[];
}

/**
 * What is in the image, as CycloneDX 1.6 has it: npm packages, Node and what it contains, packages of the system. Without
 * times and random numbers: the same image has the same.
 */
export function billOfMaterials(root: string, packages: readonly SystemPackage[]): string {
  const own = readPackageJson(root);
  const main = component('application', own.name, own.version, `pkg:generic/${own.name}@${own.version}`, own.license);
  const components = [...bundledPackages(root).map(npmPackage), node(), ...packages.map(systemPackage)];
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: main },
    components,
    dependencies: [{ ref: main['bom-ref'], dependsOn: components.map((one) => one['bom-ref']) }],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

const npmPackage = ({ name, version, license }: PackageJson): Component =>
  component('library', name, version, `pkg:npm/${name.replace('@', '%40')}@${version}`, license);

function node(): Component {
  const { node: version = '', ...inside } = process.versions as Readonly<Record<string, string>>;
  const parts = Object.entries(inside)
    .filter(([, part]) => /\d+\.\d+/.test(part))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, part]) => component('library', name, part, `pkg:generic/${name}@${part}`, undefined, 'node'));
  return { ...component('platform', 'node', version, `pkg:generic/node@${version}`, 'MIT'), components: parts };
}

const systemPackage = ({ name, version, source, distribution, arch }: SystemPackage): Component => {
  const text = `pkg:deb/${distribution}/${name}@${encodeURIComponent(version)}?arch=${arch}&upstream=${source}`;
  return component('library', name, version, text);
};

/** @param license of SPDX; for packages of the system the text is in the image */
function component(
  type: Component['type'],
  name: string,
  version: string,
  purl: string,
  license?: string,
  inside = '',
): Component {
  return {
    type,
    'bom-ref': inside === '' ? purl : `${inside}/${purl}`,
    name,
    version,
    purl,
    ...(license === undefined ? {} : { licenses: [{ license: { id: license } }] }),
  };
}

/** Licence texts: ours, those of what is bundled, those of the system's packages. */
export function licences(root: string, dist: string, packages: readonly SystemPackage[]) {
  const folder = 'usr/share/licenses';
  const texts: readonly (readonly [string, Buffer])[] = [
    ...globSync(join(root, 'LICENSE')).map((path) => [`braid/${basename(path)}`, readFileSync(path)] as const),
    ['braid/NOTICES.txt', readFileSync(join(dist, 'NOTICES.txt'))],
    ...packages.map(({ name, copyright }) => [`${name}/copyright`, copyright] as const),
  ];
  return texts.map(([name, content]) => ({ path: join(folder, name), mode: 0o644, content }));
}
