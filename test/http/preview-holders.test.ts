// @module-tag attack
import { expect, test } from "vitest";
import { AccessControl } from "../../src/http/access-control.ts";
import { EngineActors } from "../../src/http/peers/engine-actors.ts";
import { previewKeys } from "../../src/http/preview-keys.ts";
import { SharedTokens } from "../../src/http/tokens/shared/shared-tokens.ts";

const SECRET = new TextEncoder().encode("secret of all the servers, 32 bytes");
const vm = { name: "vm", key: ["a"] };

/** Access of a server whose engine answers with the ids of revoked tokens; `undefined`: the engine is away. */
function accessWith(revoked: () => string[] | undefined): AccessControl {
  const access = new AccessControl({ allowedOrigins: [], behindEngine: true, token: "t", secret: "s" });
  const engine = {
    ...{ endpoint: "http://127.0.0.1:9", token: undefined, namespace: "default", runnerName: "default" },
    ...{ encoding: "json" as const, headers: {} },
  };
  class Actors extends EngineActors {
    override async find(): Promise<string | undefined> {
      return revoked() === undefined
        ? await super.find({ name: "agent-vm-tokens", key: ["tokens"] })
        : undefined;
    }
  }
  access.tokens = new SharedTokens(SECRET, new Actors(engine), access.live);
  return access;
}

test("the holder of a preview's session is refused while nobody tells which tokens are revoked", async () => {
  const access = accessWith(() => undefined);
  expect(await previewKeys(access, vm).isValid("token-some")).toBe(false);
  access.tokens?.close();
});

test("a call with a lent grant is refused while nobody tells which tokens are revoked", async () => {
  const access = accessWith(() => undefined);
  const sender = { headers: { get: () => null }, token: undefined };
  const token = access.lent.lend({ may: ["files"], vms: {}, tokenId: "some" }, sender);
  const header = (name: string) => (name === "authorization" ? `Bearer ${token}` : undefined);
  await expect(access.admit({ header, path: "/", external: false })).rejects.toMatchObject({
    code: "connection_lost",
  });
  access.tokens?.close();
});

test("a lent grant that is given back while the server asks for revoked tokens admits no call", async () => {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const access = accessWith(() => {
    ask();
    access.lent.giveBack(token);
    return [];
  });
  const sender = { headers: { get: () => null }, token: undefined };
  const token = access.lent.lend({ may: ["files"], vms: {}, tokenId: "some" }, sender);
  const header = (name: string) => (name === "authorization" ? `Bearer ${token}` : undefined);
  const admitted = access.admit({ header, path: "/", external: false });
  await expect(admitted).rejects.toMatchObject({ code: "unauthorized", metadata: { reason: "revoked" } });
  await asked;
  access.tokens?.close();
});

test("a token counts as valid while nobody tells that it was revoked, for what is open already", async () => {
  const access = accessWith(() => undefined);
  await expect(access.tokens?.fresh()).rejects.toMatchObject({ code: "connection_lost" });
  expect(access.hasEnded({ may: ["files"], vms: {}, tokenId: "some" })).toBe(false);
  access.tokens?.close();
});

test("the holder of a preview's session is admitted by a list without its token", async () => {
  const access = accessWith(() => []);
  expect(await previewKeys(access, vm).isValid("token-some")).toBe(true);
  access.tokens?.close();
});
