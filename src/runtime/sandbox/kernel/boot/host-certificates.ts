import { existsSync } from "node:fs";
import { CERTIFICATE_BUNDLES } from "../../certificate-bundles.ts";
import type { Provision } from "../../provision.ts";

/**
 * Variables for programs that bring authorities of their own: Node, and Python's and other clients from registries. A
 * company's proxy is trusted by the host's authorities only. Java reads `/etc/ssl/certs/java` or `/etc/pki`.
 */
export function hostCertificates(exists: (path: string) => boolean = existsSync): Provision {
  const bundle = CERTIFICATE_BUNDLES.find(exists);
  if (bundle === undefined) return {};
  return {
    env: { NODE_EXTRA_CA_CERTS: bundle, SSL_CERT_FILE: bundle, REQUESTS_CA_BUNDLE: bundle },
  };
}
