"""Word stock for random worlds, split once and for all into words to train on and words held out."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence

from adventure.world.random_words import doing, past, third, wordnet

ADJECTIVES = """
ancient amber ashen bent bitter black blue bold brass brazen bright bristly broad broken bronze brown burnt
carved charred cheap chipped clean clear clouded coarse cold copper cracked crimson crooked crude cruel curved
damp dark deep dented dim dirty double dry dull dusty ebony elegant embroidered empty enamelled engraved faded
faint fancy filthy fine flat floral folded fragile frayed frosted gaudy gentle gilded glass gleaming gloomy
golden graceful grand granite green grey grimy hairy handsome hard heavy hollow holy huge humble icy indigo
iron ivory jade jagged jewelled knotted lacquered large lead leaky leather light linen little lonely long loud
loose lucky marble mean mended metal mild milky modest mossy muddy narrow neat new noble nutty oak oaken oblong
odd oily old olive onyx open-weave orange ornate oval painted pale paper patched pearl peeling petty pewter
pink plain plaited plum polished prickly proud purple quaint quiet quilted ragged rare raw red rich ringed
ripe rose rotten rough round royal ruby rusty sable sacred salty sandy scarlet scorched scratched sealed shabby
shaggy shallow sharp shiny short silent silken silver simple singed sleek slender slim small smoky smooth snowy
sober soft solid sooty sour spare speckled spiked spotted square stained stale stately steel steep stern
sticky stiff stone stout straight strange striped sturdy subtle sunken supple sweet swollen tall tangled tarnished
tattered tawny thick thin tight tin tiny torn tough twisted ugly uneven varnished velvet violet walnut warm
warped waxed weathered wet white whittled wicked wide wild wiry wooden woollen worn woven wrinkled yellow
""".split()

THINGS = """
acorn almanac amulet anchor anvil apple apron arrow axe badge bag ball banjo banner barrel basin basket beads
beaker bell belt bench bible biscuit blade blanket board bobbin bolt bone bonnet book boot bottle bow bowl box
bracelet bread brick bridle brooch broom brush bucket buckle bundle button cable cage cake candle cane cap card
carpet cart casket chain chair chalice chalk charm chart chest chisel cigar clamp cloak clock cloth club coat
coin collar comb compass cone cord cork corn crate crayon crock cross crown crutch crystal cup cushion dagger
dial dice dish doll drum easel egg envelope fan feather fiddle fig file flag flask flute fork fossil fountain
frame funnel fur gauge gear gem ghost-light gloves goblet gong gourd gown grapes hairpin halter hammer hammock
handle harp hat helmet hinge hook horn horseshoe hourglass idol ink jar jacket jewel journal jug kettle key
kite knife knob ladder ladle lamp lance lantern lantern-hook latch leaf ledger lemon lens letter lever lid
locket log loom lute magnet mallet map mask mat medal melon mirror mitten mortar mug nail napkin necklace needle
net nut oar onion orb ornament oven paddle page pail paintbrush pan paper parasol parcel pearl pebble pedestal
pen pencil pestle phial pick picture pillow pin pipe pitcher plank plate plough plume pocket-watch pole pot
pouch prism pulley puppet purse quill quilt rake rattle razor ribbon ring robe rod rope rug ruler sack saddle
sail sandal sash satchel saucer saw scale scarf sceptre scissors scroll scythe shawl shears shell shield shoe
shovel sickle sieve skull slate sled sling slipper soap spade spear sphere spindle sponge spool spoon spring
stamp statue stick stool stove strap straw string sundial sword table tablet tack tankard tapestry telescope
thimble thread throne tile tongs tooth torch towel toy tray trinket trophy trowel trumpet trunk tub turnip urn
vase veil vest vial violin wagon wand wheel whip whistle wig windlass wrench wreath yarn yoke
""".split()

PLACES = """
abbey alcove alley annex apiary aqueduct arbour arcade arch archive arena armoury atelier atoll atrium attic balcony ballroom
barn barracks basement bastion bathhouse battlement bay bazaar beach belfry bluff boathouse bog bower bridge
burrow cabin canal canyon castle catacomb causeway cave cavern cell cellar chamber chapel chasm church clearing
cliff cloister closet coast conservatory copse corner corridor cottage courtyard cove crag crater creek crevice
crossroads crypt dell den desert ditch dock dome dungeon dunes embankment enclosure estuary factory farm fen
field fjord ford forecourt forest forge fort foundry gallery gap garden garret gate-house glacier glade glen
gorge granary grave grotto grounds grove gulch gully gymnasium hall hamlet harbour hatchery haven heath hermitage
hideout hill hollow hospice hothouse hut inlet inn island jetty junction kennel kitchen knoll laboratory lagoon
laundry lawn ledge library lighthouse loft lookout lounge maze meadow mill mine moat monastery moor mound museum
nave nook nursery oasis observatory office orchard outpost pagoda palace pantry parlour passage pasture pavilion
peak pen-yard pier pit plain plateau plaza pond porch prairie priory pyramid quarry quay quarters rampart ranch
ravine reef refectory refuge reservoir ridge ruin sacristy saloon sanctuary sanctum schoolroom scullery shack
shaft shed shelter shore shrine slope smithy spire square stable stairwell steppe storeroom stream street studio
study summit swamp tannery tavern temple terrace theatre thicket tomb tower trail treasury trench tundra tunnel
turret valley vault veranda vestibule village vineyard wall warehouse waterfall well wharf wood workshop yard
""".split()

DOORS = """
airlock archway barrier bulkhead casement curtain-wall door doorway drawbridge flap gate grille hatch hatchway manhole
panel portal portcullis postern screen shutter skylight stile tollgate trapdoor turnstile wicket
""".split()
KEYS = "key key key key key card token seal pass ring".split()

VERBS = """
drifts gathers glimmers hangs leans lies lingers rests rises rustles settles shines shivers sighs sleeps spreads
stands stirs stretches trembles turns waits wanders whispers sinks glows creaks drips hums echoes fades
""".split()

STUFF = """
air ash bark bells birds bones branches candlelight chill cloud cobwebs darkness dawn dew dust echoes embers fog
frost gulls heat incense ivy leaves lichen light mist moonlight moss mould mud music night noise oil paint paper
pollen rain reeds resin roots sand shade shadow silence smoke snow soot spray stars steam straw sunlight tar
thunder tide twilight vines warmth water wax weeds wind wine wool
""".split()

ADVERBS = """
almost always barely calmly darkly dimly evenly faintly forever gently hardly heavily idly lightly loosely
neatly never nearly now often once only patiently proudly quietly rarely sadly silently slowly softly somehow
somewhere steadily still strangely tightly together
""".split()

COMMON = """
about above across after again against age ago air all along already also although always among an and animal
another answer any anyone anything appear are arm around arrive as ask at away back bad be bear beat beautiful became
because become bed been before began begin behind being believe below beside best better between beyond big bird
bit black blood blow blue board boat body book both bottom boy break bright bring broke brother brought build
built burn but buy by call came can cannot captain care careful carry catch caught cause centre certain chance
change child children choose city close cloud cold colour come common could country course cover cross crowd cry
cut dance danger dark daughter day dead dear death deep did die different do does dog done door doubt down draw dream
dress drink drive drop dry during each ear early earth east easy eat edge eight either else empty end enemy enough
even evening ever every everyone everything except eye face fact fall family far farmer fast father fear feel feet
fell few field fight figure fill find finger finish fire first fish five floor flower fly follow food foot for forest
forget form forward found four free fresh friend from front full game garden gave gentle get gift girl give given
glad glass go god gold gone good got great green ground grow guard guess had hair half hand hang happen happy hard
has hat have he head hear heart heat heavy held help her here herself hidden high hill him himself his hold hole
home hope horse hot hour house how hundred hungry hurry hurt ice idea if important in inside instead into iron is
island it its itself join journey jump just keep kept kill kind king knew know lady laid lake land large last late
laugh lay lead learn least leave left leg less let letter level lie life lift light like line lion lips list listen
little live lived long look lost loud love low made make man many mark market master matter may maybe me mean meant
measure meet men middle might mile milk mind minute miss moment money month moon more morning most mother mountain
mouth move much music must my name near nearly neck need neither never new news next nice night nine no nobody noise
none nor north nose not note notice now number of off often oh old on once one only open or order other our out
outside over own page pain paint pair paper part party pass past path pay peace people perhaps person picture piece
place plain plan plant play please point poor power pretty promise proud pull push put queen question quick quiet
quite race rain raise ran reach read ready real reason red remain remember rest return rich ride right ring rise river
road rock roof room round row run safe said sail salt same sand sat save saw say school sea season seat second secret
see seem seen self send sense sent serve set seven several shade shadow shall shape sharp she ship shoe shop shore
short should shoulder show shut side sight sign silence silver simple since sing sister sit six size skin sky sleep
slow small smell smile smoke smooth snow so soft soil soldier some someone something sometimes son song soon sort
sound south space speak spend spoke spot spread spring stage stair stand star start stay steel step still stone
stood stop store storm story straight strange stream street strong such sudden suddenly summer sun supper sure
surface sweet swim table tail take talk tall taste teach tear tell ten than thank that the their them themselves then
there these they thick thin thing think third this those though thought thousand three threw through throw thus tie
till time tiny tired to today together told tomorrow tongue tonight too took top touch toward towards town track
trade train travel tree tried trouble true trust try turn twelve twenty twice two under understand until up upon
upstairs us use usual valley very view village visit voice wait walk wall want war warm was wash watch water wave
way we wear weather week weight welcome well went were west wet what wheel when where whether which while white who
whole whose why wide wife wild will wind window wine wing winter wise wish with within without woman women wonder
wood word work world worn would write wrong year yellow yes yet you young your yourself
""".split()

PEOPLE = """
abbot aunt baker bishop boatman brewer captain carter clerk cobbler cook count cousin dancer doctor
duchess elder farmer ferryman fiddler fisher gardener ghost giant guard guide hermit hunter
inspector jailer jester judge keeper king knight lady landlord maid mason mayor merchant miller
miner monk nun nurse painter pedlar pilot piper poet porter priest prince queen ranger sailor
scholar sexton shepherd singer smith soldier squire stranger student tailor teacher thief tinker
uncle vicar warden watchman weaver widow witch wizard youth
""".split()

SHAPES = """
angular balanced blunt bulky compact concave conical convex cubic curly diagonal five-sided flattened
fluted hinged hollow hooped jointed knobbed lidded lopsided matching modular oval pointed pronged rectangular
rounded seamless six-sided slanted slotted spherical spiral square stackable stubby tapered threaded three-legged
triangular tubular twin two-tone two-way wedge-shaped wheeled zigzag
""".split()
"""Adjectives of a made-up house: how things are shaped, whatever they are."""

KITS = """
box locker safe trunk drawer crate chest case toolbox cabinet fridge cupboard bin hamper
""".split()
STANDS = "shelf rack table counter desk stand bench board pedestal stool tray mantel slab".split()
MEALS = """
apple pie loaf cheese pear soup onion biscuit carrot salad pepper egg sandwich peanut berry plum cake
pancake cookie lettuce melon grapes
""".split()

BASES = """
answer ask boil burn call climb cook crumble dance drift fade follow frown gather gleam glimmer
glow guess hammer happen hover jump knock laugh lean linger listen look matter mutter paint
pass ponder push rattle rest rustle settle shimmer sigh simmer slumber smoulder soften stay thunder
tremble turn wait walk wander watch whisper whistle wither wonder work yawn
""".split()
PASTS = [past(verb) for verb in BASES]
DOINGS = [doing(verb) for verb in BASES]

WORD_LISTS = (ADJECTIVES, THINGS, PLACES, DOORS, KEYS, VERBS, STUFF, ADVERBS, COMMON)

_MORE: dict[int, tuple[str, ...]] = {
    id(ADJECTIVES): wordnet("adjective"),
    id(THINGS): (*wordnet("artifact"), *wordnet("food"), *wordnet("plant"), *wordnet("animal")),
    id(PLACES): wordnet("place"),
    id(VERBS): tuple(map(third, wordnet("verb"))),
    id(BASES): wordnet("verb"),
    id(PASTS): tuple(map(past, wordnet("verb"))),
    id(DOINGS): tuple(map(doing, wordnet("verb"))),
    id(STUFF): (*wordnet("stuff"), *wordnet("natural"), *wordnet("plant"), *wordnet("food")),
    id(ADVERBS): wordnet("adverb"),
    id(PEOPLE): wordnet("person"),
    id(MEALS): wordnet("food"),
}
"""A list of ours -> what WordNet has of its kind."""

_ONSETS = "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kn l m n p pl pr qu r s sc sh sk sl sm sn st str t th tr v w y z".split()
_VOWELS = "a e i o u ai au ea ee ei ia ie io oa oo ou".split()
_CODAS = (
    "b ck d ft g k l ld lm ln m mp n nd ng nk nt p r rd rk rn rt s sh sk st t th x z".split()
    + [""] * 8
)
_PROTOCOL = "at at at you you game treas the hold carr await exit see key north south open lock port".split()
_SHARE_HELD_OUT = 5  # every fifth word


def is_held_out(word: str) -> bool:
    """Whether a word never occurs in training worlds; decided by its letters, so for made-up words too."""
    return zlib.crc32(word.lower().encode()) % _SHARE_HELD_OUT == 0


def made_up(rng: random.Random) -> str:
    """A pseudo-word of one to three syllables, or an ending to a word that the protocol uses.

    The latter (`atric`, `yoump`) begin with tokens that mean something else at the start of a line.
    """
    if rng.random() < 0.12:
        return rng.choice(_PROTOCOL) + rng.choice(_VOWELS) + rng.choice(_CODAS)
    syllables = rng.choice((1, 1, 2, 2, 3))
    onsets = [rng.choice(_ONSETS) for _ in range(syllables)]
    if rng.random() < 0.2:
        onsets[0] = ""
    return "".join(onset + rng.choice(_VOWELS) + rng.choice(_CODAS) for onset in onsets)


class Stock:
    """Draws words for one world. `held_out` True: only words never trained on; False: only the others.

    A share of pseudo-words keeps the network from leaning on words that it knows; more: the share
    of the others that are WordNet's instead of our own lists'.
    """

    def __init__(
        self, rng: random.Random, held_out: bool, pseudo: float, more: float = 0.0
    ) -> None:
        self.rng, self.held_out, self.pseudo, self.more = rng, held_out, pseudo, more

    def draw(self, words: Sequence[str], form: Callable[[str], str] = str) -> str:
        """One word of the list, or of its kind, or a made-up one, in that form.

        Raises ValueError where the list has no word on this side of the split.
        """
        others = _MORE.get(id(words), ())
        for _ in range(1000):
            if self.rng.random() < self.pseudo:
                word = form(made_up(self.rng))
            elif others and self.rng.random() < self.more:
                word = form(self.rng.choice(others))
            else:
                word = form(self.rng.choice(words))
            if is_held_out(word) == self.held_out:
                return word
        raise ValueError("the list has no word on this side of the split")
