/** Union-find over value names: members of a class share one scale and zero point. */
export class ScaleClasses {
  readonly #parents = new Map<string, string>()

  /** The class's representative: the member that was united first. */
  find(name: string): string {
    let root = name
    for (let next = this.#parents.get(root); next !== undefined; next = this.#parents.get(root)) root = next
    for (let at = name; at !== root; ) {
      const next = this.#parents.get(at)!
      this.#parents.set(at, root)
      at = next
    }
    return root
  }

  /** Puts the class of `name` under that of `representative`. */
  unite(representative: string, name: string): void {
    const root = this.find(representative)
    const other = this.find(name)
    if (root !== other) this.#parents.set(other, root)
  }

  same(a: string, b: string): boolean {
    return this.find(a) === this.find(b)
  }
}
