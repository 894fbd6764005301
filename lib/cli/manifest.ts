import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { CniError, messageOf } from '../cni/errors.ts';
import { writeAtomically } from '../sys/atomic-file.ts';
import { ioError, isMissing } from '../sys/io-error.ts';

const FORMAT = 1;

/** A file name: a manifest must not lead out of its folder. */
const fileName = z.string().check(z.regex(/^(?!\.{1,2}$)[^/]+$/));

const installed = z.readonly(
  z.object({
    sha256: z.string(),
    /** where the replaced plugin is kept */
    before: z.exactOptional(fileName),
  }),
);

const manifestFile = z.readonly(
  z.object({
    format: z.literal(FORMAT),
    version: z.string(),
    build: z.string(),
    form: z.string(),
    /** by name */
    files: z.readonly(z.record(fileName, installed)),
  }),
);

export type Installed = z.infer<typeof installed>;

/** What install put into a folder, kept there in a hidden file that runtimes ignore. */
export type Manifest = Omit<z.infer<typeof manifestFile>, 'format'>;

export const manifestIn = (bin: string): string => join(bin, '.braid.json');

/** The name under which a replaced plugin is kept. */
export const beforeName = (name: string): string => `${name}.before-braid`;

/**
 * @returns undefined when nothing is installed
 * @throws CniError ioFailure
 */
export function readManifest(bin: string): Manifest | undefined {
  const path = manifestIn(bin);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', path, error);
  }
  const outcome = z.safeParse(manifestFile, parsed(text, path));
  if (!outcome.success) {
    const key = outcome.error.issues[0]?.path.map(String).join('.') || 'its content';
    throw damaged(path, `${key} is invalid`);
  }
  const { format: _, ...manifest } = outcome.data;
  return manifest;
}

/** @throws CniError ioFailure */
export function writeManifest(bin: string, manifest: Manifest): void {
  writeAtomically(manifestIn(bin), `${JSON.stringify({ format: FORMAT, ...manifest }, null, 2)}\n`, { mode: 0o644 });
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(path, messageOf(error));
  }
}

const damaged = (path: string, why: string): CniError =>
  new CniError('ioFailure', `cannot read "${path}": ${why}: move it away and reinstall`);
