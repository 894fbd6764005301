/**
 * The certificate authorities that are trusted where nobody names one: those that Node brings, and those of the system. The
 * standalone program has Node look for none by itself.
 */
export async function knownAuthorities(): Promise<string[]> {
  const { getCACertificates } = await import('node:tls');
  return [...getCACertificates('bundled'), ...getCACertificates('system')];
}
