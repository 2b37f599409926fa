// A user that may read the catalog and write nothing; asks for its password. Run it as an administrator:
//   mongosh "mongodb://ADMIN@HOST:27017/admin" examples/mongo-role.js
db.getSiblingDB("krakendb").createUser({
  "user": "kraken_ro",
  "pwd": passwordPrompt(),
  "roles": [{ "role": "read", "db": "krakendb" }]
})
