/**
 * When a token expires, if it says so: those of service accounts do.
 *
 * @returns undefined when it is no JSON Web Token, or has no end
 */
export function expiryOf(token: string): Date | undefined {
  const [, claims = ''] = token.split('.');
  try {
    const { exp } = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as { readonly exp?: unknown };
    return typeof exp === 'number' ? new Date(exp * 1000) : undefined;
  } catch {
    return undefined;
  }
}
