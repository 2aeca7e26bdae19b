# One function for all four doors: it says what came, and through which door.
echo "$CE_TYPE from $CE_SOURCE about ${CE_SUBJECT:-nothing in particular}" >&2
cat
