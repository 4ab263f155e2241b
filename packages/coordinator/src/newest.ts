/** Sets a key of a map and makes it the newest; beyond `most` keys, the oldest is removed. */
export function keepNewest<K, T>(map: Map<K, T>, key: K, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value!);
}
