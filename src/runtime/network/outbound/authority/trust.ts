import type { Env } from "../../../../api/values.ts";
import type { FileSystem } from "../../../sandbox/files.ts";
import { CERTIFICATE_BUNDLES } from "../../../sandbox/host-certificates.ts";
import { RUN_FOLDER } from "../../../sandbox/vm-layout.ts";
import { VmAuthority } from "./authority.ts";
import { toPem } from "./certificate.ts";
import { javaTruststore } from "./java-truststore.ts";

const FOLDER = `${RUN_FOLDER}/authorities`;

/** The host's authorities and the VM's. */
const BUNDLE = `${FOLDER}/bundle.pem`;
const JAVA_STORE = `${FOLDER}/cacerts`;

/**
 * Configuration of wget in place of /etc/wgetrc. wget has no variable for authorities, and with GnuTLS it reads only the host's
 * folder.
 */
const WGETRC = `${FOLDER}/wgetrc`;

const MAX_BUNDLE_BYTES = 4 * 1024 * 1024;

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** Variables that name a file of authorities: of OpenSSL, Go and .NET, Node, Python, curl, git, pip, AWS, Deno and cargo. */
const VARIABLES = [
  "SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "PIP_CERT",
  "AWS_CA_BUNDLE",
  "DENO_CERT",
  "CARGO_HTTP_CAINFO",
];

/** Makes the programs of a VM trust an authority of the VM's own, whose keys stay in the server. */
export class VmTrust {
  #authority: Promise<VmAuthority> | undefined;
  #made: VmAuthority | undefined;

  /** The authority; `undefined` if no program of this boot trusts one. */
  get authority(): VmAuthority | undefined {
    return this.#made;
  }

  /** Variables of commands. */
  get env(): Env {
    if (this.#made === undefined) return {};
    return {
      ...Object.fromEntries(VARIABLES.map((name) => [name, BUNDLE])),
      SYSTEM_WGETRC: WGETRC,
      JAVA_TOOL_OPTIONS: `-Djavax.net.ssl.trustStore=${JAVA_STORE}`,
    };
  }

  /** Makes the authority of a boot and writes it into its files. Once a boot; a failure is tried again. */
  async establish(files: FileSystem): Promise<void> {
    this.#authority ??= this.#make(files);
    const making = this.#authority;
    try {
      const made = await making;
      if (this.#authority === making) this.#made = made;
    } catch (error) {
      if (this.#authority === making) this.#authority = undefined;
      throw error;
    }
  }

  /** Forgets the authority at the end of a boot. */
  forget(): void {
    this.#authority = undefined;
    this.#made = undefined;
  }

  async #make(files: FileSystem): Promise<VmAuthority> {
    const [authority, bundle] = await Promise.all([VmAuthority.make(), hostBundle(files)]);
    const host = [...bundle.matchAll(PEM)].map(([, text = ""]) => Buffer.from(text, "base64"));
    await files.mkdir(FOLDER).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const pem = `${bundle.trimEnd()}\n${toPem(authority.certificate)}`.trimStart();
    await files.writeFile(BUNDLE, Buffer.from(pem));
    await files.writeFile(WGETRC, Buffer.from(`ca_certificate = ${BUNDLE}\n`));
    await files.writeFile(JAVA_STORE, javaTruststore([...host, authority.certificate]));
    return authority;
  }
}

/** Returns the host's authorities as the VM sees them, in PEM; nothing for a host without authorities. */
async function hostBundle(files: FileSystem): Promise<string> {
  for (const path of CERTIFICATE_BUNDLES) {
    const found = await files.readFile(path, MAX_BUNDLE_BYTES).catch(() => undefined);
    if (found !== undefined) return Buffer.from(found).toString("latin1");
  }
  return "";
}
