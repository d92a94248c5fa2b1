import { z } from "zod";
import { invalidArgument } from "../../api/errors.ts";
import { HOST_NAME, OFFER_NAME } from "../../api/network-rule.ts";
import { path, port } from "../../api/values.ts";
import { parseJson } from "../../base/json.ts";

/** Use of a stream that a client opens. */
const requestSchema = z.union([
  z.strictObject({ port }),
  z.strictObject({ socketPath: path }),
  z.strictObject({
    offer: z.strictObject({
      host: z.string().refine((host) => OFFER_NAME.test(host) && host !== HOST_NAME),
      port,
    }),
  }),
]);

export type TunnelRequest = z.output<typeof requestSchema>;

/** @throws AgentVmError `invalid_argument` */
export function parseTunnelRequest(body: Uint8Array): TunnelRequest {
  const given = parseJson(new TextDecoder().decode(body));
  const parsed = requestSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidArgument(
    "tunnel",
    `a port from 1 to 65535, an absolute socketPath, or a service NAME.agent-vm other than ${HOST_NAME}`,
    given,
  );
}
