import { AgentVmError } from "../api/errors.ts";
import type { VmSecret } from "../api/methods/secrets.ts";
import { Sealer } from "../base/sealer.ts";
import { FORK_ACTIONS } from "./fork-peers.ts";
import { sealingKeyOf } from "./sealing-key.ts";

/** Encrypts the secrets of a VM for its fork, which the ticket names. @throws AgentVmError `not_supported` */
export function sealSecrets(
  secret: Uint8Array | undefined,
  ticket: string,
  own: Readonly<Record<string, VmSecret>>,
): string {
  return sealerOf(secret, ticket)
    .seal(FORK_ACTIONS.take, Buffer.from(JSON.stringify(own)))
    .toString("base64");
}

/** Decrypts the secrets of the old VM. @throws AgentVmError `not_supported`, Error if the old VM's server has another secret */
export function openSecrets(
  secret: Uint8Array | undefined,
  ticket: string,
  sealed: string,
): Record<string, VmSecret> {
  const opened = sealerOf(secret, ticket).open(FORK_ACTIONS.take, Buffer.from(sealed, "base64"));
  return JSON.parse(opened.toString());
}

function sealerOf(secret: Uint8Array | undefined, ticket: string): Sealer {
  if (secret !== undefined) return new Sealer(sealingKeyOf(secret, `fork ${ticket}`));
  throw new AgentVmError("not_supported", "This server has no key to pass secrets on to a fork", {
    hint: "Set AGENT_VM_SECRET on the server, or fork without secrets and call setSecrets().",
  });
}
