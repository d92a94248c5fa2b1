import { expect, test } from "vitest";
import { actorNamedBy, gatewayPath, parseGateway } from "../../src/api/gateway-path.ts";

test("reads the actor, the token and the rest of a target", () => {
  expect(parseGateway("/gateway/a1-b")).toEqual({ actorId: "a1-b", token: undefined, rest: "" });
  expect(parseGateway("/gateway/a1?x=1")).toEqual({ actorId: "a1", token: undefined, rest: "?x=1" });
  expect(parseGateway("/gateway/a1@to%2Fken/action/exec?x=@")).toEqual({
    ...{ actorId: "a1", token: "to%2Fken", rest: "/action/exec?x=@" },
  });
});

test.each(["/", "/actors", "/gateway/", "/gateway/a.b/x", "/gateway/%61/x", "/gateway/a#x", "/x/gateway/a"])(
  "reads no actor from %s",
  (target) => {
    expect(parseGateway(target)).toBeUndefined();
  },
);

test("reads what it has written", () => {
  const target = gatewayPath("a1", "/request/x", "to/ken@");
  expect(parseGateway(target)).toEqual({ actorId: "a1", token: "to%2Fken%40", rest: "/request/x" });
});

test("a header names an actor only if the target names none", () => {
  expect(actorNamedBy("/action/exec", "b2")).toBe("b2");
  expect(actorNamedBy("/gateway/a1/action/exec", "b2")).toBe("a1");
  expect(actorNamedBy("/gateway/a.1/action/exec", "b2")).toBeUndefined();
  expect(actorNamedBy("/vms", null)).toBeUndefined();
});
