import type { IncomingMessage, RequestListener } from "node:http";
import type { VmSecret } from "../../src/api/methods/secrets.ts";
import { makeCertificate } from "./certificate.ts";
import { startOutboundVm, startOutside } from "./outside.ts";

export const VALUE = "s3cr3t/value+1234";

type Names = Parameters<typeof startOutboundVm>[1];

/** Starts an https host `api.test` with an authority of its own, and a VM whose programs have a secret for it. */
export async function startSecretVm(
  secret: Partial<VmSecret> = {},
  more: { listener?: RequestListener; allow?: string[]; names?: Names; certificateOf?: string } = {},
) {
  const tls = await makeCertificate(more.certificateOf ?? "api.test", "*.wild.test");
  const outside = await startOutside(more.listener, tls, "127.0.0.2");
  const { port, requests } = outside;
  const started = startOutboundVm(
    {
      outbound: { allow: ["api.test", "*.wild.test", `127.0.0.2:${port}`, ...(more.allow ?? [])] },
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
    { "api.test": ["127.0.0.2"], "a.wild.test": ["127.0.0.2"], ...more.names },
  );
  const last = (): IncomingMessage => requests.at(-1) as IncomingMessage;
  return { ...started, ...outside, tls, last, url: `https://api.test:${port}` };
}
