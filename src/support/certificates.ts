/** Certificates in files, of which a renewed one may be broken. */
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ensureError } from './errors.ts';

/**
 * Why they cannot be used; null: they can. Without this, the first connection would tell, after the
 * ones before it had been given up.
 */
export function certificateTrouble(options: SecureContextOptions): string | null {
  try {
    createSecureContext(options);
    return null;
  } catch (error) {
    return ensureError(error).message;
  }
}
