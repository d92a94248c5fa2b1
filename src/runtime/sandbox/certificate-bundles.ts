/** The bundle of trusted authorities of Debian, Alpine and Arch, of Fedora, of openSUSE: in folders that a VM sees. */
export const CERTIFICATE_BUNDLES: readonly string[] = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/certs/ca-bundle.crt",
];
