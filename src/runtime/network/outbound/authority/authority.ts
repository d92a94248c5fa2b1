import { generateKeyPair, type KeyObject } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { promisify } from "node:util";
import { Known } from "../../../../base/known.ts";
import { signCertificate, toPem } from "./certificate.ts";

const DAY_MS = 86_400_000;

/** Life of an authority. It ends with the boot of its VM. */
const AUTHORITY_DAYS = 3_650;

/** Life of a certificate. Some programs refuse more than 398 days. */
const CERTIFICATE_DAYS = 90;

/** The clock of a program may be behind. */
const BEFORE_DAYS = 1;

/** Certificates of one VM that the server keeps: about 20 KiB each. */
const MAX_KEPT = 128;

const NAME = "agent-vm authority of one VM";

const makeKeys = promisify(generateKeyPair);

interface Keys {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

/**
 * Certificate authority of one boot of a VM. Its keys are in the memory of the server only; the VM's programs trust its
 * certificate.
 */
export class VmAuthority {
  /** Certificate of the authority in DER. */
  readonly certificate: Buffer;
  readonly #own: Keys;
  /** All hosts share the keys: only the server has them. */
  readonly #hosts: Keys;
  readonly #contexts = new Known<{ context: SecureContext; until: number }>(MAX_KEPT);

  static async make(): Promise<VmAuthority> {
    const [own, hosts] = await Promise.all([
      makeKeys("ec", { namedCurve: "P-256" }),
      makeKeys("ec", { namedCurve: "P-256" }),
    ]);
    return new VmAuthority(own, hosts);
  }

  private constructor(own: Keys, hosts: Keys) {
    this.#own = own;
    this.#hosts = hosts;
    this.certificate = signCertificate({
      subject: NAME,
      publicKey: own.publicKey,
      issuer: { name: NAME, ...own },
      ...life(AUTHORITY_DAYS),
    });
  }

  /** Returns what the server shows a program as a host: a certificate for its canonical name or address. */
  contextOf(host: string): SecureContext {
    const now = Date.now();
    const kept = this.#contexts.get(host);
    if (kept !== undefined && kept.until > now) return kept.context;
    const { from, until } = life(CERTIFICATE_DAYS);
    const certificate = signCertificate({
      subject: host,
      publicKey: this.#hosts.publicKey,
      issuer: { name: NAME, ...this.#own },
      hosts: [host],
      from,
      until,
    });
    const context = createSecureContext({
      key: this.#hosts.privateKey.export({ type: "pkcs8", format: "pem" }),
      cert: toPem(certificate),
      // Without a list Node loads all authorities of the system, 20 ms for each context.
      ca: toPem(this.certificate),
      minVersion: "TLSv1.2",
    });
    this.#contexts.set(host, { context, until: until.getTime() - DAY_MS });
    return context;
  }
}

function life(days: number): { from: Date; until: Date } {
  const now = Date.now();
  return { from: new Date(now - BEFORE_DAYS * DAY_MS), until: new Date(now + days * DAY_MS) };
}
