/** Names of resources as kubelets and pods know them. */

/** An extended resource: `intel.com/vf`. */
export interface ResourceName {
  /** `intel.com` */
  readonly prefix: string;
  /** `vf` */
  readonly name: string;
}

/** `sun_path` has 108 bytes, with a zero at the end: `/var/lib/kubelet/plugins_registry/<prefix>_<name>.sock`. */
const LONGEST_TOGETHER = 67;
const LONGEST_NAME = 63;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export const fullName = ({ prefix, name }: ResourceName): string => `${prefix}/${name}`;

/**
 * Checks what the kubelet demands of an extended resource.
 *
 * @param what prefix of the key, for messages
 * @throws Error naming the key
 */
export function checkResourceName({ prefix, name }: ResourceName, what: string): void {
  if (name.length > LONGEST_NAME || !/^[a-z0-9](.*[a-z0-9])?$/is.test(name)) {
    throw new Error(
      `cannot use "${what}.resourceName" ${JSON.stringify(name)}: the kubelet wants at most ${LONGEST_NAME} characters, a letter or digit first and last`,
    );
  }
  if (!prefix.split('.').every((label) => LABEL.test(label))) {
    throw new Error(`cannot use "${what}.resourcePrefix" ${JSON.stringify(prefix)}: it is no DNS name in lower case`);
  }
  if (/(^|\.)kubernetes\.io$/.test(prefix) || prefix.startsWith('requests.')) {
    throw new Error(`cannot use "${what}.resourcePrefix" ${JSON.stringify(prefix)}: Kubernetes keeps it to itself`);
  }
  if (prefix.length + name.length > LONGEST_TOGETHER) {
    throw new Error(
      `cannot use "${what}.resourceName" ${JSON.stringify(name)}: with its prefix it is longer than ${LONGEST_TOGETHER} characters, and the path of its socket too long`,
    );
  }
}

/**
 * Names of the environment variables that tell a container its devices. Upstream keeps hyphens, which no shell can
 * read: then a second variable has `_` instead.
 */
export function variableNames({ prefix, name }: ResourceName): readonly string[] {
  const known = `PCIDEVICE_${prefix}_${name}`.replaceAll('.', '_').toUpperCase();
  const readable = known.replaceAll('-', '_');
  return known === readable ? [known] : [known, readable];
}
