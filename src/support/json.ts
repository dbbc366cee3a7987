/**
 * Plain JSON values as they travel through etcd and REST. LSNs may exceed 2^53: adapters parse them
 * to bigint.
 */
export type JsonValue = string | number | bigint | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}
