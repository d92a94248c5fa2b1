import { isDeepStrictEqual } from "node:util";
import { AgentVmError } from "../../../api/errors.ts";
import { assertNotDraining } from "../../../monitoring/draining.ts";
import { endDoubledActors } from "../../../rivet/doubled-actors.ts";
import { takeOverEngineDriver } from "../../../rivet/engine-runner.ts";
import { kvStore } from "../../../rivet/kv-store.ts";
import { type ActorDefinition, actor } from "../../../rivet/rivetkit.ts";
import { toUserError, userError } from "../../../rivet/user-error.ts";
import { ownedStore } from "../../../runtime/store/owned-store.ts";
import { Nonces, PeerSeal } from "../../peers/seal.ts";
import { Tokens } from "../tokens.ts";
import { TOKEN_ANSWER_MS } from "./limits.ts";
import { type Asked, askedSchema, TOKEN_ACTOR } from "./messages.ts";
import { isQuestion, questionText } from "./question-text.ts";
import { TokenBook } from "./token-book.ts";

/** Defines the actor that notes the tokens of all servers behind an engine. It answers only servers with the same secret. */
export function tokenActor(
  secret: Uint8Array,
): ActorDefinition<never, never, never, never, never, never, never, never> {
  const seal = new PeerSeal(secret);
  const nonces = new Nonces();
  const definition = actor({
    async createVars(c) {
      assertNotDraining();
      try {
        if (!isDeepStrictEqual(c.key, TOKEN_ACTOR.key))
          throw new AgentVmError("forbidden", "Only one actor notes tokens");
        const store = ownedStore(kvStore(c.kv), { isShared: true });
        const book = await TokenBook.open(store, (key) =>
          c.log.error({ msg: "A note about a token is damaged", key }),
        );
        return { store, book, tokens: new Tokens(book, secret, () => undefined) };
      } catch (error) {
        throw toUserError(error, c.log, "createVars");
      }
    },
    onBeforeConnect(c) {
      const { pathname } = new URL(c.request?.url ?? "http://none");
      if (!isQuestion(pathname))
        throw userError(new AgentVmError("forbidden", "Only servers use this actor"));
    },
    async onRequest(c, request) {
      const { book, tokens } = c.vars;
      const asked = seal.open("tokens", await questionText(request), askedSchema);
      if (asked === undefined || nonces.take(asked) !== undefined)
        return new Response("Not Found", { status: 404 });
      const outcome = await answer(asked, book, tokens).then(
        (result) => ({ result }),
        (thrown: unknown) => {
          const { code, message, metadata } = toUserError(thrown, c.log, `tokens.${asked.method}`);
          return { error: { code, message, metadata: Object(metadata) } };
        },
      );
      return new Response(seal.seal("tokens answer", { nonce: asked.nonce, ...outcome }));
    },
    async onSleep(c) {
      await c.vars.store.release();
      c.vars.book.close();
    },
    actions: {},
    // Servers ask it every few seconds. Without SERVICE_POOL it would lose its place to a VM, and nobody could revoke a token.
    options: { name: "Tokens", createVarsTimeout: TOKEN_ANSWER_MS, noSleep: true },
  });
  endDoubledActors(definition, { limitMs: TOKEN_ANSWER_MS, onDriver: takeOverEngineDriver });
  return definition as never;
}

async function answer(asked: Asked, book: TokenBook, tokens: Tokens): Promise<unknown> {
  switch (asked.method) {
    case "create":
      return await tokens.create(asked.grant, asked.request);
    case "list":
      return await tokens.list(asked.grant, asked.query);
    case "revoke":
      return await tokens.revoke(asked.grant, asked.id);
    case "renew":
      return await tokens.renew(asked.grant, asked.id);
    case "isMadeAs":
      return await tokens.isMadeAs(asked.id, asked.label);
    case "revoked":
      return book.revokedAfter(asked.epoch, asked.after);
  }
}
