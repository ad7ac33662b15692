-- Names that look the same are one name: usernames are compared by a key, as e-mail addresses are.

-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, ban-drop-function
-- kind: before
-- locks: legacy_users ACCESS EXCLUSIVE, users ACCESS EXCLUSIVE
-- formerly: f71ebe9905db1cbfb3eb281e48e37792ba35282577060e7eac64695947dd3325
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

ALTER TABLE tallystick.users ADD COLUMN IF NOT EXISTS username_key text COLLATE "C";
ALTER TABLE tallystick.legacy_users ADD COLUMN IF NOT EXISTS username_key text COLLATE "C";
GRANT UPDATE (username_key) ON tallystick.users TO tallystick_app;
GRANT UPDATE (username_key) ON tallystick.legacy_users TO tallystick_app;
-- That no key stays without its name is checked by names_of_older_servers, since servers of the version before know
-- nothing of keys.

-- The key as the service computes it: decomposed, case folded, composed again, spaces trimmed and single. The letters
-- are Unicode's simple case foldings of what cannot be decomposed; only the sharp s becomes two letters.
-- names_of_older_servers drops it.
CREATE OR REPLACE FUNCTION tallystick.username_key(username text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT CASE
    WHEN username COLLATE "C" !~ '[^ -~]'
        THEN btrim(regexp_replace(lower(username COLLATE "C"), ' +', ' ', 'g'))
    ELSE btrim(regexp_replace(normalize(translate(
        replace(replace(lower(normalize(username, NFKD) COLLATE "C"), 'ß', 'ss'), 'ẞ', 'ss'),
        'ÆÐØÞĐĦŁŊŒŦƁƂƄƆƇƉƊƋƎƏƐƑƓƔƖƗƘƜƝƟƢƤƦƧƩƬƮƱƲƳƵƷƸƼǤǶǷȜȠȢȤȺȻȽȾɁɃɄɅɆɈɊɌɎͅͰͲͶͿΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩςϏϘϚϜϞϠϢϤϦϨϪϬϮϷϺϽϾϿЂЄЅІЈЉЊЋЏАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӃӅӇӉӋӍӔӘӠӨӶӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖႠႡႢႣႤႥႦႧႨႩႪႫႬႭႮႯႰႱႲႳႴႵႶႷႸႹႺႻႼႽႾႿჀჁჂჃჄჅჇჍᏸᏹᏺᏻᏼᏽᲀᲁᲂᲃᲄᲅᲆᲇᲈᲐᲑᲒᲓᲔᲕᲖᲗᲘᲙᲚᲛᲜᲝᲞᲟᲠᲡᲢᲣᲤᲥᲦᲧᲨᲩᲪᲫᲬᲭᲮᲯᲰᲱᲲᲳᲴᲵᲶᲷᲸᲹᲺᲽᲾᲿỺỼỾℲↃⰀⰁⰂⰃⰄⰅⰆⰇⰈⰉⰊⰋⰌⰍⰎⰏⰐⰑⰒⰓⰔⰕⰖⰗⰘⰙⰚⰛⰜⰝⰞⰟⰠⰡⰢⰣⰤⰥⰦⰧⰨⰩⰪⰫⰬⰭⰮⰯⱠⱢⱣⱤⱧⱩⱫⱭⱮⱯⱰⱲⱵⱾⱿⲀⲂⲄⲆⲈⲊⲌⲎⲐⲒⲔⲖⲘⲚⲜⲞⲠⲢⲤⲦⲨⲪⲬⲮⲰⲲⲴⲶⲸⲺⲼⲾⳀⳂⳄⳆⳈⳊⳌⳎⳐⳒⳔⳖⳘⳚⳜⳞⳠⳢⳫⳭⳲꙀꙂꙄꙆꙈꙊꙌꙎꙐꙒꙔꙖꙘꙚꙜꙞꙠꙢꙤꙦꙨꙪꙬꚀꚂꚄꚆꚈꚊꚌꚎꚐꚒꚔꚖꚘꚚꜢꜤꜦꜨꜪꜬꜮꜲꜴꜶꜸꜺꜼꜾꝀꝂꝄꝆꝈꝊꝌꝎꝐꝒꝔꝖꝘꝚꝜꝞꝠꝢꝤꝦꝨꝪꝬꝮꝹꝻꝽꝾꞀꞂꞄꞆꞋꞍꞐꞒꞖꞘꞚꞜꞞꞠꞢꞤꞦꞨꞪꞫꞬꞭꞮꞰꞱꞲꞳꞴꞶꞸꞺꞼꞾꟀꟂꟄꟅꟆꟇꟉꟐꟖꟘꟵꭰꭱꭲꭳꭴꭵꭶꭷꭸꭹꭺꭻꭼꭽꭾꭿꮀꮁꮂꮃꮄꮅꮆꮇꮈꮉꮊꮋꮌꮍꮎꮏꮐꮑꮒꮓꮔꮕꮖꮗꮘꮙꮚꮛꮜꮝꮞꮟꮠꮡꮢꮣꮤꮥꮦꮧꮨꮩꮪꮫꮬꮭꮮꮯꮰꮱꮲꮳꮴꮵꮶꮷꮸꮹꮺꮻꮼꮽꮾꮿ𐐀𐐁𐐂𐐃𐐄𐐅𐐆𐐇𐐈𐐉𐐊𐐋𐐌𐐍𐐎𐐏𐐐𐐑𐐒𐐓𐐔𐐕𐐖𐐗𐐘𐐙𐐚𐐛𐐜𐐝𐐞𐐟𐐠𐐡𐐢𐐣𐐤𐐥𐐦𐐧𐒰𐒱𐒲𐒳𐒴𐒵𐒶𐒷𐒸𐒹𐒺𐒻𐒼𐒽𐒾𐒿𐓀𐓁𐓂𐓃𐓄𐓅𐓆𐓇𐓈𐓉𐓊𐓋𐓌𐓍𐓎𐓏𐓐𐓑𐓒𐓓𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕𐲀𐲁𐲂𐲃𐲄𐲅𐲆𐲇𐲈𐲉𐲊𐲋𐲌𐲍𐲎𐲏𐲐𐲑𐲒𐲓𐲔𐲕𐲖𐲗𐲘𐲙𐲚𐲛𐲜𐲝𐲞𐲟𐲠𐲡𐲢𐲣𐲤𐲥𐲦𐲧𐲨𐲩𐲪𐲫𐲬𐲭𐲮𐲯𐲰𐲱𐲲𑢠𑢡𑢢𑢣𑢤𑢥𑢦𑢧𑢨𑢩𑢪𑢫𑢬𑢭𑢮𑢯𑢰𑢱𑢲𑢳𑢴𑢵𑢶𑢷𑢸𑢹𑢺𑢻𑢼𑢽𑢾𑢿𖹀𖹁𖹂𖹃𖹄𖹅𖹆𖹇𖹈𖹉𖹊𖹋𖹌𖹍𖹎𖹏𖹐𖹑𖹒𖹓𖹔𖹕𖹖𖹗𖹘𖹙𖹚𖹛𖹜𖹝𖹞𖹟𞤀𞤁𞤂𞤃𞤄𞤅𞤆𞤇𞤈𞤉𞤊𞤋𞤌𞤍𞤎𞤏𞤐𞤑𞤒𞤓𞤔𞤕𞤖𞤗𞤘𞤙𞤚𞤛𞤜𞤝𞤞𞤟𞤠𞤡',
        'æðøþđħłŋœŧɓƃƅɔƈɖɗƌǝəɛƒɠɣɩɨƙɯɲɵƣƥʀƨʃƭʈʊʋƴƶʒƹƽǥƕƿȝƞȣȥⱥȼƚⱦɂƀʉʌɇɉɋɍɏιͱͳͷϳαβγδεζηθικλμνξοπρστυφχψωσϗϙϛϝϟϡϣϥϧϩϫϭϯϸϻͻͼͽђєѕіјљњћџабвгдежзиклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӄӆӈӊӌӎӕәӡөӷӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯաբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆⴀⴁⴂⴃⴄⴅⴆⴇⴈⴉⴊⴋⴌⴍⴎⴏⴐⴑⴒⴓⴔⴕⴖⴗⴘⴙⴚⴛⴜⴝⴞⴟⴠⴡⴢⴣⴤⴥⴧⴭᏰᏱᏲᏳᏴᏵвдосттъѣꙋაბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰჱჲჳჴჵჶჷჸჹჺჽჾჿỻỽỿⅎↄⰰⰱⰲⰳⰴⰵⰶⰷⰸⰹⰺⰻⰼⰽⰾⰿⱀⱁⱂⱃⱄⱅⱆⱇⱈⱉⱊⱋⱌⱍⱎⱏⱐⱑⱒⱓⱔⱕⱖⱗⱘⱙⱚⱛⱜⱝⱞⱟⱡɫᵽɽⱨⱪⱬɑɱɐɒⱳⱶȿɀⲁⲃⲅⲇⲉⲋⲍⲏⲑⲓⲕⲗⲙⲛⲝⲟⲡⲣⲥⲧⲩⲫⲭⲯⲱⲳⲵⲷⲹⲻⲽⲿⳁⳃⳅⳇⳉⳋⳍⳏⳑⳓⳕⳗⳙⳛⳝⳟⳡⳣⳬⳮⳳꙁꙃꙅꙇꙉꙋꙍꙏꙑꙓꙕꙗꙙꙛꙝꙟꙡꙣꙥꙧꙩꙫꙭꚁꚃꚅꚇꚉꚋꚍꚏꚑꚓꚕꚗꚙꚛꜣꜥꜧꜩꜫꜭꜯꜳꜵꜷꜹꜻꜽꜿꝁꝃꝅꝇꝉꝋꝍꝏꝑꝓꝕꝗꝙꝛꝝꝟꝡꝣꝥꝧꝩꝫꝭꝯꝺꝼᵹꝿꞁꞃꞅꞇꞌɥꞑꞓꞗꞙꞛꞝꞟꞡꞣꞥꞧꞩɦɜɡɬɪʞʇʝꭓꞵꞷꞹꞻꞽꞿꟁꟃꞔʂᶎꟈꟊꟑꟗꟙꟶᎠᎡᎢᎣᎤᎥᎦᎧᎨᎩᎪᎫᎬᎭᎮᎯᎰᎱᎲᎳᎴᎵᎶᎷᎸᎹᎺᎻᎼᎽᎾᎿᏀᏁᏂᏃᏄᏅᏆᏇᏈᏉᏊᏋᏌᏍᏎᏏᏐᏑᏒᏓᏔᏕᏖᏗᏘᏙᏚᏛᏜᏝᏞᏟᏠᏡᏢᏣᏤᏥᏦᏧᏨᏩᏪᏫᏬᏭᏮᏯ𐐨𐐩𐐪𐐫𐐬𐐭𐐮𐐯𐐰𐐱𐐲𐐳𐐴𐐵𐐶𐐷𐐸𐐹𐐺𐐻𐐼𐐽𐐾𐐿𐑀𐑁𐑂𐑃𐑄𐑅𐑆𐑇𐑈𐑉𐑊𐑋𐑌𐑍𐑎𐑏𐓘𐓙𐓚𐓛𐓜𐓝𐓞𐓟𐓠𐓡𐓢𐓣𐓤𐓥𐓦𐓧𐓨𐓩𐓪𐓫𐓬𐓭𐓮𐓯𐓰𐓱𐓲𐓳𐓴𐓵𐓶𐓷𐓸𐓹𐓺𐓻𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼𐳀𐳁𐳂𐳃𐳄𐳅𐳆𐳇𐳈𐳉𐳊𐳋𐳌𐳍𐳎𐳏𐳐𐳑𐳒𐳓𐳔𐳕𐳖𐳗𐳘𐳙𐳚𐳛𐳜𐳝𐳞𐳟𐳠𐳡𐳢𐳣𐳤𐳥𐳦𐳧𐳨𐳩𐳪𐳫𐳬𐳭𐳮𐳯𐳰𐳱𐳲𑣀𑣁𑣂𑣃𑣄𑣅𑣆𑣇𑣈𑣉𑣊𑣋𑣌𑣍𑣎𑣏𑣐𑣑𑣒𑣓𑣔𑣕𑣖𑣗𑣘𑣙𑣚𑣛𑣜𑣝𑣞𑣟𖹠𖹡𖹢𖹣𖹤𖹥𖹦𖹧𖹨𖹩𖹪𖹫𖹬𖹭𖹮𖹯𖹰𖹱𖹲𖹳𖹴𖹵𖹶𖹷𖹸𖹹𖹺𖹻𖹼𖹽𖹾𖹿𞤢𞤣𞤤𞤥𞤦𞤧𞤨𞤩𞤪𞤫𞤬𞤭𞤮𞤯𞤰𞤱𞤲𞤳𞤴𞤵𞤶𞤷𞤸𞤹𞤺𞤻𞤼𞤽𞤾𞤿𞥀𞥁𞥂𞥃'
    ), NFKC), ' +', ' ', 'g'))
END
$$;

-- Of several users whose names have the same key, the one who came first has it. The others keep their names, which
-- reserve nothing. Keys are computed aside, without a lock, and stored in steps of 5,000 users, each its own
-- transaction: others wait for a step at most, and a run that was stopped goes on where it was. The owner of the tables
-- sees no rows of users; the service does.
CREATE TEMP TABLE keyed_names (
    step bigint, run bigint, position bigint,
    user_id text COLLATE "C", username text COLLATE "C", username_key text COLLATE "C"
);
GRANT SELECT, INSERT ON keyed_names TO tallystick_app;
SET statement_timeout = '4h';
SET ROLE tallystick_app;
INSERT INTO keyed_names (step, user_id, username, username_key)
SELECT row_number() OVER (ORDER BY user_id) / 5000, user_id, username, username_key
FROM (
    SELECT
        user_id, username, username_key,
        row_number() OVER (PARTITION BY username_key ORDER BY created_at, user_id) AS place
    FROM (
        SELECT user_id, username, created_at, tallystick.username_key(username) AS username_key
        FROM tallystick.users
        WHERE username IS NOT NULL
        OFFSET 0
    ) AS named
) AS placed
WHERE place = 1;
INSERT INTO keyed_names (step, run, position, user_id, username, username_key)
SELECT row_number() OVER (ORDER BY run, position) / 5000, run, position, user_id, username, username_key
FROM (
    SELECT
        run, position, user_id, username, username_key,
        row_number() OVER (PARTITION BY run, username_key ORDER BY created_at, user_id) AS place
    FROM (
        SELECT run, position, user_id, username, created_at, tallystick.username_key(username) AS username_key
        FROM tallystick.legacy_users
        WHERE username IS NOT NULL
        OFFSET 0
    ) AS named
) AS placed
WHERE place = 1;
RESET ROLE;
CREATE INDEX ON keyed_names (step);
ANALYZE keyed_names;
SET ROLE tallystick_app;
DO $$
BEGIN
    FOR this_step IN 0..coalesce((SELECT max(step) FROM keyed_names), -1) LOOP
        UPDATE tallystick.users AS u
        SET username_key = k.username_key
        FROM keyed_names AS k
        WHERE
            k.step = this_step AND k.run IS NULL AND u.user_id = k.user_id AND u.username = k.username
            AND u.username_key IS DISTINCT FROM k.username_key;
        UPDATE tallystick.legacy_users AS l
        SET username_key = k.username_key
        FROM keyed_names AS k
        WHERE
            k.step = this_step AND l.run = k.run AND l.position = k.position AND l.username = k.username
            AND l.username_key IS DISTINCT FROM k.username_key;
        COMMIT;
    END LOOP;
END
$$;
RESET ROLE;
DROP TABLE keyed_names;
SET statement_timeout = '15min';

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_username_once ON tallystick.users
(username_key) WHERE username_key IS NOT NULL;
-- Servers of the version before look for names as they are written. They store names without keys from now on, so that
-- two users may have the same.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_by_username ON tallystick.users
(username) WHERE username IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_username_key;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

-- Names that reserve nothing may be spelled like others: they would break the index of before.
SET ROLE tallystick_app;
UPDATE tallystick.users AS u
SET username = NULL
WHERE
    u.username IS NOT NULL AND u.username_key IS NULL
    AND EXISTS (SELECT FROM tallystick.users AS o WHERE o.username = u.username AND o.user_id <> u.user_id);
RESET ROLE;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_username_key ON tallystick.users
(username) WHERE username IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_by_username;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_username_once;
DROP FUNCTION IF EXISTS tallystick.username_key(text);
ALTER TABLE tallystick.users DROP COLUMN IF EXISTS username_key;
ALTER TABLE tallystick.legacy_users DROP COLUMN IF EXISTS username_key;
