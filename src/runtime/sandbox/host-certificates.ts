import { existsSync } from "node:fs";
import type { Provision } from "./provision.ts";

/** The bundle of trusted authorities of Debian, Alpine and Arch, of Fedora, of openSUSE: in folders that a VM sees. */
export const CERTIFICATE_BUNDLES: readonly string[] = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/certs/ca-bundle.crt",
];

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
