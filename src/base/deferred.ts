/** Makes a promise with its functions, like `Promise.withResolvers`, which the client cannot use: Node 20 lacks it. */
export function deferred<Value>(): PromiseWithResolvers<Value> {
  let resolve: PromiseWithResolvers<Value>["resolve"] | undefined;
  let reject: PromiseWithResolvers<Value>["reject"] | undefined;
  const promise = new Promise<Value>((onDone, onFailure) => {
    resolve = onDone;
    reject = onFailure;
  });
  return { promise, resolve: resolve as never, reject: reject as never };
}
