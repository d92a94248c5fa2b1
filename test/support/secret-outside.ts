import type { IncomingMessage, RequestListener } from "node:http";
import type { VmSecret } from "../../src/api/methods/secrets.ts";
import type { VmRunOptions } from "../../src/runtime/hooks.ts";
import { makeCertificate } from "./certificate.ts";
import { startOutboundVm, startOutside } from "./outside.ts";

export const VALUE = "s3cr3t/value+1234";

interface SecretVmOptions extends Pick<VmRunOptions, "store" | "sealingKey" | "onFailure"> {
  listener?: RequestListener;
  /** Rules of the policy besides those for `api.test`. */
  allow?: string[];
  names?: Parameters<typeof startOutboundVm>[1];
  /** Name in the certificate of `api.test`. */
  certificateOf?: string;
}

/** Starts an https host `api.test` with an authority of its own, and a VM whose programs have a secret for it. */
export async function startSecretVm(secret: Partial<VmSecret> = {}, more: SecretVmOptions = {}) {
  const { listener, allow = [], names, certificateOf = "api.test", ...run } = more;
  const tls = await makeCertificate(certificateOf, "*.wild.test");
  const outside = await startOutside(listener, tls, "127.0.0.2");
  const { port, requests } = outside;
  const start = () =>
    startOutboundVm(
      {
        outbound: { allow: ["api.test", "*.wild.test", `127.0.0.2:${port}`, ...allow] },
        secrets: {
          API_KEY: {
            value: VALUE,
            hosts: [`api.test:${port}`, `*.wild.test:${port}`],
            headers: { authorization: "Bearer {secret}" },
            ...secret,
          },
        },
        ca: tls.cert,
      },
      { "api.test": ["127.0.0.2"], "a.wild.test": ["127.0.0.2"], ...names },
      run,
    );
  const last = (): IncomingMessage => requests.at(-1) as IncomingMessage;
  return { ...start(), ...outside, tls, last, again: start, url: `https://api.test:${port}` };
}
