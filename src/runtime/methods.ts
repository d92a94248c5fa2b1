/** Some of an object's methods, that it need not be held for. */
export function methodsOf<Target extends object, Name extends keyof Target>(
  target: Target,
  names: readonly Name[],
): Pick<Target, Name> {
  const methods: Partial<Pick<Target, Name>> = {};
  for (const name of names) {
    const method = target[name];
    if (typeof method !== "function") throw new TypeError(`${String(name)} is no method`);
    methods[name] = method.bind(target) as Target[Name];
  }
  return methods as Pick<Target, Name>;
}

/** The same of an object that is there with the first call, and may be another one with the next. */
export function laterMethods<Target extends object, Name extends keyof Target>(
  target: () => Promise<Target>,
  names: readonly Name[],
): AsyncMethods<Pick<Target, Name>> {
  const methods: Record<PropertyKey, unknown> = {};
  for (const name of names) {
    methods[name] = async (...args: unknown[]) => {
      const found = await target();
      const method = found[name];
      if (typeof method !== "function") throw new TypeError(`${String(name)} is no method`);
      return await method.apply(found, args);
    };
  }
  return methods as AsyncMethods<Pick<Target, Name>>;
}

type AsyncMethods<Methods> = {
  [Name in keyof Methods]: Methods[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never;
};
