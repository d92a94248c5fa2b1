import { createHash, randomUUID } from "node:crypto";
import { AgentVmError } from "../api/errors.ts";
import type { PreviewKeys } from "../runtime/network/previews/guard.ts";
import { isOwner } from "./access.ts";
import type { AccessControl } from "./access-control.ts";
import { NOTHING, requireReach, requireRight, type VmName } from "./grant.ts";

/** Right of a token that opens a VM's previews. */
const NEEDED = { right: "network" } as const;

/**
 * Time for which a browser keeps an access that only the server's `authorize` knows. Nothing says when it ends.
 * @unit ms
 */
const USER_MS = 3_600_000;

const USER = "user";

/** Returns the tokens of a server that open the previews of a VM with `access: "token"`. */
export function previewKeys(access: AccessControl, vm: VmName): PreviewKeys {
  return {
    async holderOf(token) {
      const authorization = `Bearer ${token}`;
      const header = (name: string) => (name === "authorization" ? authorization : undefined);
      try {
        const grant = await access.admit({ header, path: "/", external: true }, vm);
        // A server without a token admits requests that present anything.
        if (grant.unlimited) return isOwner(access.policy, [token]) ? { holder: ownerOf(token) } : undefined;
        requireReach(grant, vm);
        requireRight(grant, NEEDED, { preview: "of the VM" });
        const { tokenId, expiresAt } = grant;
        if (tokenId !== undefined) return { holder: `token-${tokenId}`, expiresAt, endsAt: expiresAt };
        return {
          holder: USER,
          endsAt: expiresAt,
          expiresAt: Math.min(expiresAt ?? Number.POSITIVE_INFINITY, Date.now() + USER_MS),
        };
      } catch (error) {
        if (error instanceof AgentVmError) return undefined;
        throw error;
      }
    },
    async isValid(holder) {
      if (holder === USER) return true;
      const tokenId = tokenIn(holder);
      if (tokenId !== undefined) return await isKnownValid(access, tokenId);
      const { token, secret } = access.policy;
      return [token, secret].some((own) => own !== undefined && ownerOf(own) === holder);
    },
    watch({ holder, endsAt }, end) {
      const tokenId = tokenIn(holder);
      // The server's own token has no end.
      if (tokenId === undefined && holder !== USER) return () => undefined;
      const id = randomUUID();
      const ends = endsAt === undefined ? {} : { expiresAt: endsAt };
      access.opened({ id, state: { ...NOTHING, ...(tokenId !== undefined && { tokenId }), ...ends } }, end);
      return () => access.live.closed(id);
    },
  };
}

/** Returns the id of the token that a holder has. */
function tokenIn(holder: string): string | undefined {
  return /^token-(.+)$/.exec(holder)?.[1];
}

/** Returns whether a token is valid. A server that cannot know says `false`. */
async function isKnownValid({ tokens }: AccessControl, tokenId: string): Promise<boolean> {
  const isKnown = await tokens?.fresh().then(
    () => true,
    () => false,
  );
  return isKnown === true && tokens?.isValid(tokenId) === true;
}

/** Names the holder of the server's own token, until the token changes. */
function ownerOf(token: string): string {
  return `server-${createHash("sha256").update(`agent-vm preview ${token}`).digest("hex").slice(0, 32)}`;
}
